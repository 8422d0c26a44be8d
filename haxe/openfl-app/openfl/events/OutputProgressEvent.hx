package openfl.events;

typedef OutputProgressEvent = serversocket.OutputProgressEvent;
