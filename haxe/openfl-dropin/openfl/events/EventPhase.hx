package openfl.events;

typedef EventPhase = serversocket.EventPhase;
