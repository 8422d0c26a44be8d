package serversocket;

typedef IOError = openfl.errors.IOError;
