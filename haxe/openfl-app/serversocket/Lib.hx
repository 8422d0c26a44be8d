package serversocket;

typedef Lib = openfl.Lib;
