package openfl.events;

typedef ServerSocketConnectEvent = serversocket.ServerSocketConnectEvent;
