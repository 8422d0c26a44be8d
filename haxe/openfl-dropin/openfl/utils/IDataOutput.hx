package openfl.utils;

typedef IDataOutput = serversocket.IDataOutput;
