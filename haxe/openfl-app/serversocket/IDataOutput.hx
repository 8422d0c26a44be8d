package serversocket;

typedef IDataOutput = openfl.utils.IDataOutput;
