package serversocket;

typedef SecurityError = openfl.errors.SecurityError;
