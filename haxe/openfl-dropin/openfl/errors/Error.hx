package openfl.errors;

typedef Error = serversocket.Error;
