// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** A peer has connected to a ServerSocket. **/
class ServerSocketConnectEvent extends Event {
	public static inline var CONNECT:EventType<ServerSocketConnectEvent> = "connect";

	/** The connection. It can be read from and written to at once; to refuse it, close it. **/
	public var socket:Socket;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, socket:Socket = null) {
		super(type, bubbles, cancelable);
		this.socket = socket;
	}

	override public function clone():Event {
		return new ServerSocketConnectEvent(type, bubbles, cancelable, socket);
	}

	override public function toString():String {
		return formatToString("ServerSocketConnectEvent", "type", "bubbles", "cancelable", "socket");
	}
}
