package openfl.net;

typedef ServerSocket = serversocket.ServerSocket;
