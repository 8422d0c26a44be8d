package openfl.utils;

typedef ByteArray = serversocket.ByteArray;
typedef ByteArrayData = serversocket.ByteArray.ByteArrayData;
