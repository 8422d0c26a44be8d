package serversocket;

typedef TextEvent = openfl.events.TextEvent;
