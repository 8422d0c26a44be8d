package openfl.errors;

typedef IllegalOperationError = serversocket.IllegalOperationError;
