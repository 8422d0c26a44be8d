package serversocket;

typedef EOFError = openfl.errors.EOFError;
