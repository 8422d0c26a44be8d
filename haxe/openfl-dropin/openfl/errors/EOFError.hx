package openfl.errors;

typedef EOFError = serversocket.EOFError;
