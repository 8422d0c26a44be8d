package serversocket;

typedef RangeError = openfl.errors.RangeError;
