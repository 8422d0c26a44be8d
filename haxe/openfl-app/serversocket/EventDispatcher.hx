package serversocket;

typedef EventDispatcher = openfl.events.EventDispatcher;
