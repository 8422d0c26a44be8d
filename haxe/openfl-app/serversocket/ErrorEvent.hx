package serversocket;

typedef ErrorEvent = openfl.events.ErrorEvent;
