package serversocket;

typedef EventPhase = openfl.events.EventPhase;
