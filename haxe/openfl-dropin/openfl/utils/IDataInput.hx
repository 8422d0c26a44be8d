package openfl.utils;

typedef IDataInput = serversocket.IDataInput;
