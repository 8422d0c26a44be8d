package openfl.errors;

typedef RangeError = serversocket.RangeError;
