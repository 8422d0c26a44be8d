package serversocket;

/** A peer has connected to a ServerSocket. **/
class ServerSocketConnectEvent extends Event {
	public static inline var CONNECT:EventType<ServerSocketConnectEvent> = "connect";

	/** The connection. Keep a reference to it: a socket that nobody holds is closed when the collector finds it. **/
	public var socket:Socket;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, socket:Socket = null) {
		super(type, bubbles, cancelable);
		this.socket = socket;
	}

	override public function clone():Event {
		return new ServerSocketConnectEvent(type, bubbles, cancelable, socket);
	}

	override public function toString():String {
		return __format("ServerSocketConnectEvent", ["type", "bubbles", "cancelable", "socket"]);
	}
}
