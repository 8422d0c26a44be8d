package openfl.errors;

typedef TypeError = serversocket.TypeError;
