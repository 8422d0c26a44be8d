package serversocket;

typedef ObjectEncoding = openfl.net.ObjectEncoding;
