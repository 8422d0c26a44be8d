// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Binding;
import serversocket.internal.Calls;
import serversocket.internal.Errors;
import serversocket.internal.EventKind;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.NetDispatcher;
import serversocket.internal.Text;

/**
	AIR's ServerSocket: a TCP server.

	While it listens it is held, as in OpenFL; with `-D server-socket-collect` one that the program does not hold is closed
	when the collector finds it. It belongs to the thread that made it. Events: `ServerSocketConnectEvent.CONNECT`;
	`HandshakeErrorEvent.HANDSHAKE_ERROR`; `Event.CLOSE` when the system has closed it, or `drain` has done its work.
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

	/**
		What has ended the server, in and after `Event.CLOSE`: 0 if the last connection of a `drain` has ended by itself,
		ETIMEDOUT if its time was over, else the system's number. 0 before.
	**/
	public var closeError(default, null):Int = 0;

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

	/**
		Takes a Unix-domain socket in place of a port: `path` is that of a file, or on Linux "@name" an abstract name, which is no file.
		`localAddress` is the path then, `localPort` 0. Accepted sockets have no addresses; `Socket.peerCredentials` says who it is.

		A file that a former server has left there is replaced, if nobody has its socket any more; no other file ever is. `close`
		removes it. Who may connect is decided by the file's permissions.

		Throws TypeError: `path` is null. ArgumentError: it is empty, or longer than the system takes (about 100 bytes). IOError: bound
		or closed already, or the system refuses; its `osError` and `detail` say why. Error: Windows has no such sockets here; only
		Linux has abstract names.
	**/
	public function bindPath(path:String):Void {
		Failure.check(Calls.bindPath(__handle, Text.path(path)));
	}

	/**
		Ends the server in peace. Who waits to be connected is still accepted; then the port is given back. The connections live on,
		and `Event.CLOSE` comes when the last one that it has accepted has ended, those included that are closed and still send.
		`closeError` is 0 then.

		After `timeout` milliseconds those that are left are reset: each open socket gets `ioError` and `close`, and the server `close`
		behind them, with ETIMEDOUT as `closeError`. Called again it sets another deadline. `close` ends it, without an event.

		Throws RangeError: `timeout` is negative. Error: the server is neither bound nor draining.
	**/
	public function drain(timeout:Int):Void {
		if (timeout < 0)
			throw Errors.range();
		Failure.check(Calls.drain(__handle, timeout));
		__hold();
		Pump.start();
	}

	/**
		Makes the connections that it accepts from now on secure; null: plain. `ServerSocketConnectEvent.CONNECT` then comes when the
		handshake is done. One that fails is a `HandshakeErrorEvent`.

		Throws IOError: it is closed. Error: `Tls.isSupported` is false.
	**/
	public function secure(tls:Null<Tls>):Void {
		Failure.check(Calls.setTls(__handle, tls == null ? null : tls.__handle, null));
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
				closeError = Std.int(first);
				dispatchEvent(new Event(Event.CLOSE));
			case HANDSHAKE_ERROR:
				dispatchEvent(new HandshakeErrorEvent(HandshakeErrorEvent.HANDSHAKE_ERROR, false, false, text, 0, Std.int(first)));
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
