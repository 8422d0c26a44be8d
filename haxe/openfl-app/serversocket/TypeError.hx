package serversocket;

typedef TypeError = openfl.errors.TypeError;
