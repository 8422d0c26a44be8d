package openfl;

typedef Lib = serversocket.Lib;
