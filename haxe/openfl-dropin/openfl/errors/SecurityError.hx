package openfl.errors;

typedef SecurityError = serversocket.SecurityError;
