package openfl.net;

typedef ObjectEncoding = serversocket.ObjectEncoding;
