package openfl.utils;

typedef Endian = serversocket.Endian;
