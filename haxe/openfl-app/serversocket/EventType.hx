package serversocket;

typedef EventType<T> = openfl.events.EventType<T>;
