package openfl.events;

typedef EventDispatcher = serversocket.EventDispatcher;
