package serversocket;

typedef Timer = openfl.utils.Timer;
