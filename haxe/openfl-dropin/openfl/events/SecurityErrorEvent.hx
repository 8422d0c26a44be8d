package openfl.events;

typedef SecurityErrorEvent = serversocket.SecurityErrorEvent;
