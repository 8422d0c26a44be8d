package serversocket;

typedef IDataInput = openfl.utils.IDataInput;
