package openfl.events;

typedef IEventDispatcher = serversocket.IEventDispatcher;
