package serversocket;

typedef DataEvent = openfl.events.DataEvent;
