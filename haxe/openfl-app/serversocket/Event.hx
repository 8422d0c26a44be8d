package serversocket;

typedef Event = openfl.events.Event;
