package openfl.errors;

typedef ArgumentError = serversocket.ArgumentError;
