// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/**
	AIR's XMLSocket: texts, each with a zero byte behind it. It need not be XML.

	Events: `Event.CONNECT`, `DataEvent.DATA`, `IOErrorEvent.IO_ERROR`, `Event.CLOSE`.
**/
class XMLSocket extends EventDispatcher {
	public var connected(get, never):Bool;

	/** Milliseconds that connecting may take; 20000 at first. **/
	public var timeout(get, set):Int;

	final __socket = new Socket();

	/** What has arrived of a message whose end has not. **/
	var __rest = new ByteArray();

	/** Connects at once if `host` is given; see `connect`. **/
	public function new(host:String = null, port:Int = 80) {
		super();
		__socket.addEventListener(Event.CONNECT, event -> dispatchEvent(event.clone()));
		__socket.addEventListener(Event.CLOSE, event -> dispatchEvent(event.clone()));
		__socket.addEventListener(IOErrorEvent.IO_ERROR, __fail);
		__socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> __read());
		if (host != null)
			connect(host, port);
	}

	/** As `Socket.connect`. **/
	public function connect(host:String, port:Int):Void {
		__rest = new ByteArray();
		__socket.connect(host, port);
	}

	/** Throws IOError: it is not connected. **/
	public function close():Void {
		__socket.close();
	}

	/** Sends the object as a text. Throws IOError: it is not connected. **/
	public function send(object:Dynamic):Void {
		var text = new ByteArray();
		text.writeUTFBytes(Std.string(object));
		text.writeByte(0);
		__socket.writeBytes(text);
	}

	function __read():Void {
		var looked = __rest.length;
		__socket.readBytes(__rest, looked);
		var from = 0;
		for (at in looked...__rest.length) {
			if (__rest[at] != 0)
				continue;
			__rest.position = from;
			var message = __rest.readUTFBytes(at - from);
			from = at + 1;
			dispatchEvent(new DataEvent(DataEvent.DATA, false, false, message));
			if (!connected)
				return;
		}
		var rest = new ByteArray();
		if (from < __rest.length)
			rest.writeBytes(__rest, from);
		__rest = rest;
	}

	function __fail(event:IOErrorEvent):Void {
		if (hasEventListener(IOErrorEvent.IO_ERROR))
			dispatchEvent(event.clone());
		else
			__report(new Error('Unhandled IOErrorEvent:. text=${event.text}', 2044));
	}

	function get_connected():Bool {
		return __socket.connected;
	}

	function get_timeout():Int {
		return __socket.timeout;
	}

	function set_timeout(value:Int):Int {
		return __socket.timeout = value;
	}
}
