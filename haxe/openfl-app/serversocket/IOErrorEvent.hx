package serversocket;

typedef IOErrorEvent = openfl.events.IOErrorEvent;
