package openfl.events;

typedef TimerEvent = serversocket.TimerEvent;
