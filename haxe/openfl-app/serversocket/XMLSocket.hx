package serversocket;

typedef XMLSocket = openfl.net.XMLSocket;
