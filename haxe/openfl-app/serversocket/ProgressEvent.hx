package serversocket;

typedef ProgressEvent = openfl.events.ProgressEvent;
