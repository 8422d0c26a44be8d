package serversocket;

typedef Endian = openfl.utils.Endian;
