// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Binding;
import serversocket.internal.Calls;
import serversocket.internal.EventKind;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.NetDispatcher;
import serversocket.internal.Text;

/**
	AIR's ServerSocket: a TCP server.

	While it listens it is held, as in OpenFL; with `-D server-socket-collect` one that the program does not hold is closed
	when the collector finds it. It belongs to the thread that made it. Events: `ServerSocketConnectEvent.CONNECT`, `Event.CLOSE`.
**/
@:nativeProperty // or hxcpp does not find the properties of one that is typed Dynamic
class ServerSocket extends NetDispatcher {
	/** Whether servers can run here. **/
	public static var isSupported(get, never):Bool;

	/** Between `bind` and `close`. **/
	public var bound(get, never):Bool;

	/** Between `listen` and `close`. **/
	public var listening(get, never):Bool;

	/** The address it is bound to, in digits; null when not bound. **/
	public var localAddress(get, never):String;

	/** The port it is bound to, the real one even if 0 was asked for; 0 when not bound. **/
	public var localPort(get, never):Int;

	public function new() {
		super();
		__open(Binding.newServer());
	}

	/**
		Takes a port, 0 for any free one, on an address of this machine; "0.0.0.0" for all of IPv4, "::" for all of IPv6.

		Throws RangeError: no such port. ArgumentError: no IP address. IOError: bound or closed already, or the system
		refuses; its `osError` and `detail` say why.
	**/
	public function bind(localPort:Int = 0, localAddress:String = "0.0.0.0"):Void {
		Failure.check(Calls.bind(__handle, localPort, Text.withoutNul(localAddress)));
	}

	/**
		Takes connections in from now on; up to `backlog` of them (0: the system's maximum) wait to be accepted, which they
		are while somebody listens for "connect".

		Throws RangeError: `backlog` is negative. IOError: not bound, or closed.
	**/
	public function listen(backlog:Int = 0):Void {
		Failure.check(Calls.listen(__handle, backlog));
		__hold();
		Pump.start();
	}

	/** Gives the port back for good; accepted sockets live on. Throws Error: it is not open. **/
	public function close():Void {
		Failure.check(Calls.close(__handle));
		__drop();
	}

	/** Stops accepting until `resume`; peers wait. Throws IOError: it is closed. **/
	public function pause():Void {
		Failure.check(Calls.pause(__handle));
	}

	public function resume():Void {
		Failure.check(Calls.resume(__handle));
	}

	public function setOption(option:SocketOption, value:Int):Void {
		Failure.check(Calls.setOption(__handle, option, value));
	}

	public function getOption(option:SocketOption):Int {
		return Calls.getOption(__handle, option);
	}

	override function __hear(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {
		switch (kind) {
			case CONNECT:
				var socket = @:privateAccess Socket.__accept(accepted);
				dispatchEvent(new ServerSocketConnectEvent(ServerSocketConnectEvent.CONNECT, false, false, socket));
			case CLOSE:
				__drop();
				dispatchEvent(new Event(Event.CLOSE));
			case _:
		}
	}

	static function get_isSupported():Bool {
		return Calls.isSupported();
	}

	function get_bound():Bool {
		return Calls.bound(__handle);
	}

	function get_listening():Bool {
		return Calls.listening(__handle);
	}

	function get_localAddress():String {
		return Calls.localAddress(__handle);
	}

	function get_localPort():Int {
		return Calls.localPort(__handle);
	}
}
