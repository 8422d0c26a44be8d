package openfl.net;

typedef XMLSocket = serversocket.XMLSocket;
