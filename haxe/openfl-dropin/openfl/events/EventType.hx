package openfl.events;

typedef EventType<T> = serversocket.EventType<T>;
