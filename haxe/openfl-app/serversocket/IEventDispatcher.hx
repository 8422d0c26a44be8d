package serversocket;

typedef IEventDispatcher = openfl.events.IEventDispatcher;
