package serversocket;

typedef Error = openfl.errors.Error;
