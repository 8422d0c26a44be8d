package openfl.utils;

typedef ByteArray = serversocket.ByteArray;
