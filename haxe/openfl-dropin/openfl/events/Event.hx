package openfl.events;

typedef Event = serversocket.Event;
