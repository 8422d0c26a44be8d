package serversocket;

typedef ArgumentError = openfl.errors.ArgumentError;
