package serversocket;

typedef SecurityErrorEvent = openfl.events.SecurityErrorEvent;
