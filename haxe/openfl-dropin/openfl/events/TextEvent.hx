package openfl.events;

typedef TextEvent = serversocket.TextEvent;
