package openfl.utils;

typedef Timer = serversocket.Timer;
