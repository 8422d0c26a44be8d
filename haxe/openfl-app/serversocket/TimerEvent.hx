package serversocket;

typedef TimerEvent = openfl.events.TimerEvent;
