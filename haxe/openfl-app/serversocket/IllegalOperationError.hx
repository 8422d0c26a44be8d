package serversocket;

typedef IllegalOperationError = openfl.errors.IllegalOperationError;
