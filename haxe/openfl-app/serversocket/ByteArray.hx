package serversocket;

typedef ByteArray = openfl.utils.ByteArray;
typedef ByteArrayData = openfl.utils.ByteArray.ByteArrayData;
