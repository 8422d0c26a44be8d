package openfl.errors;

typedef IOError = serversocket.IOError;
