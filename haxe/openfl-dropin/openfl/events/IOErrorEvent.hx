package openfl.events;

typedef IOErrorEvent = serversocket.IOErrorEvent;
