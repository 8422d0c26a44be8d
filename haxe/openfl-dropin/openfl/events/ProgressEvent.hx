package openfl.events;

typedef ProgressEvent = serversocket.ProgressEvent;
