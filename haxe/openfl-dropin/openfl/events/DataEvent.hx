package openfl.events;

typedef DataEvent = serversocket.DataEvent;
