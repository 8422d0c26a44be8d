package openfl.events;

typedef ErrorEvent = serversocket.ErrorEvent;
