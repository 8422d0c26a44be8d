package openfl.net;

typedef Socket = serversocket.Socket;
