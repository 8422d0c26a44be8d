package serversocket;

import haxe.io.Bytes;
import serversocket.internal.Binding;
import serversocket.internal.EventKind;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.NetDispatcher;
import serversocket.internal.ObjectReader;
import serversocket.internal.ObjectWriter;
import serversocket.internal.Text;

/**
	AIR's Socket: one end of a TCP connection.

	Keep a reference to it: a socket that nobody holds is closed when the collector finds it. It belongs to the thread that
	made it. Events: `Event.CONNECT`, `ProgressEvent.SOCKET_DATA`, `OutputProgressEvent.OUTPUT_PROGRESS`,
	`IOErrorEvent.IO_ERROR`, `Event.CLOSE`. Reading, writing, flushing and closing throw IOError when it is not connected;
	what has arrived before the peer closed can be read all the same.
**/
class Socket extends NetDispatcher implements IDataInput implements IDataOutput {
	/** How many bytes can be read. **/
	public var bytesAvailable(get, never):Int;

	/** How many written bytes the system has not taken yet. **/
	public var bytesPending(get, never):Int;

	public var connected(get, never):Bool;

	/** null when not connected, as `remoteAddress`. **/
	public var localAddress(get, never):String;

	/** 0 when not connected, as `remotePort`. **/
	public var localPort(get, never):Int;

	public var remoteAddress(get, never):String;
	public var remotePort(get, never):Int;

	/** The byte order of what is read and written from now on. Throws ArgumentError: neither of the two. **/
	public var endian(get, set):Endian;

	/** The format of `readObject` and `writeObject`. Throws ArgumentError: neither AMF3 nor AMF0. **/
	public var objectEncoding(get, set):ObjectEncoding;

	/** Milliseconds that connecting may take; 20000 at first. **/
	public var timeout(get, set):Int;

	var __connecting:Bool;

	/** Connects at once if `host` and `port` are given; see `connect`. **/
	public function new(host:String = null, port:Int = 0) {
		super();
		__open(Binding.newSocket());
		if (host != null && port > 0)
			connect(host, port);
	}

	static function __accept(handle:Handle):Socket {
		var socket:Socket = Type.createEmptyInstance(Socket);
		socket.__open(handle);
		return socket;
	}

	override function __open(handle:Handle):Void {
		super.__open(handle);
		__connecting = false;
		__hearAlways(IOErrorEvent.IO_ERROR);
	}

	/**
		Begins to connect to a host, given by name or address, and returns at once: `Event.CONNECT` or `IOErrorEvent.IO_ERROR`
		follows. A connection that is there already is closed first, without an event.

		Throws SecurityError: no such port. IOError: no host.
	**/
	public function connect(host:String, port:Int):Void {
		__hearAlways(Event.CONNECT);
		Failure.check(Binding.connect(__handle, Text.withoutNul(host), port));
		__connecting = true;
		Pump.start();
	}

	/** Closes; what was written is still sent in the background. No event follows. **/
	public function close():Void {
		Failure.check(Binding.closeSocket(__handle));
		__connecting = false;
	}

	/** Closes at once and drops what was not sent; the peer sees a reset. **/
	public function abort():Void {
		Failure.check(Binding.abort(__handle));
		__connecting = false;
	}

	/** Sends what was written now, rather than when the listener ends. Never blocks, never loses anything. **/
	public function flush():Void {
		Failure.check(Binding.flush(__handle));
	}

	/** Stops reading until `resume`: the peer has to wait. **/
	public function pause():Void {
		Failure.check(Binding.pauseSocket(__handle));
	}

	public function resume():Void {
		Failure.check(Binding.resumeSocket(__handle));
	}

	public function setOption(option:SocketOption, value:Int):Void {
		Failure.check(Binding.setOption(__handle, option, value));
	}

	public function getOption(option:SocketOption):Int {
		return Binding.getOption(__handle, option);
	}

	public function readBoolean():Bool {
		return Binding.readBoolean(__handle);
	}

	public function readByte():Int {
		return Binding.readByte(__handle);
	}

	/** Reads `length` bytes, 0 for all that are there, into `bytes` from `offset` on; `bytes` grows as needed. **/
	public function readBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw new TypeError("Parameter bytes must be non-null.", 2007);
		if (offset < 0 || length < 0)
			throw new RangeError("The supplied index is out of bounds.", 2006);
		var available = bytesAvailable;
		if (length == 0)
			length = available;
		if (length > available) {
			Failure.check(Binding.skip(__handle, length)); // fails, in the right way, and `bytes` stays as it is
			return;
		}
		bytes.__reserve(offset + length);
		Failure.check(Binding.readBytes(__handle, bytes.__bytes, offset, length));
	}

	public function readDouble():Float {
		return Binding.readDouble(__handle);
	}

	public function readFloat():Float {
		return Binding.readFloat(__handle);
	}

	public function readInt():Int {
		return Binding.readInt(__handle);
	}

	/** Reads a text of `length` bytes in another charset; an unknown one means UTF-8, as in Flash. **/
	public function readMultiByte(length:Int, charSet:String):String {
		return Binding.readMultiByte(__handle, __notNegative(length), charSet);
	}

	/**
		Reads an object in AMF, the format that `objectEncoding` says. haxe/README.md lists what becomes of which type.

		Throws EOFError: it has not arrived as a whole yet. ArgumentError: what has arrived is no such object. RangeError: it
		is nested more than 128 deep, or too large. After these, all bytes are unread still, but only more bytes after an
		EOFError can mend it.
	**/
	public function readObject():Dynamic {
		return ObjectReader.read(Binding.readObject(__handle));
	}

	public function readShort():Int {
		return Binding.readShort(__handle);
	}

	public function readUnsignedByte():Int {
		return Binding.readUnsignedByte(__handle);
	}

	/** From 2147483648 on negative, as `Int` is: assign it to a `UInt`. **/
	public function readUnsignedInt():Int {
		return Binding.readUnsignedInt(__handle);
	}

	public function readUnsignedShort():Int {
		return Binding.readUnsignedShort(__handle);
	}

	/** Reads a text with its length in bytes before it. What is not UTF-8 becomes U+FFFD. **/
	public function readUTF():String {
		return Binding.readUTF(__handle);
	}

	public function readUTFBytes(length:Int):String {
		return Binding.readUTFBytes(__handle, __notNegative(length));
	}

	public function writeBoolean(value:Bool):Void {
		Failure.check(Binding.writeBoolean(__handle, value));
	}

	public function writeByte(value:Int):Void {
		Failure.check(Binding.writeByte(__handle, value));
	}

	/** Writes `length` bytes, 0 for all from `offset` on. Throws RangeError: `bytes` has not that many. **/
	public function writeBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw new TypeError("Parameter bytes must be non-null.", 2007);
		length = bytes.__lengthOf(offset, length);
		Failure.check(Binding.writeBytes(__handle, bytes.__bytes, offset, length));
	}

	public function writeDouble(value:Float):Void {
		Failure.check(Binding.writeDouble(__handle, value));
	}

	public function writeFloat(value:Float):Void {
		Failure.check(Binding.writeFloat(__handle, value));
	}

	public function writeInt(value:Int):Void {
		Failure.check(Binding.writeInt(__handle, value));
	}

	/** Writes a text in another charset; what that has not is sent as '?'. Throws ArgumentError: it contains a NUL. **/
	public function writeMultiByte(value:String, charSet:String):Void {
		if (value != null && Text.hasNul(value))
			throw new ArgumentError("One of the parameters is invalid.", 2004);
		Failure.check(Binding.writeMultiByte(__handle, value, charSet));
	}

	/**
		Writes an object in AMF, with all that it leads to, or nothing. Instances of classes that have no alias, see
		`Lib.registerClassAlias`, become structures.

		Throws ArgumentError: there is something in it that AMF has no form for: a function, an enum value, a socket, ...
		RangeError: it is nested more than 128 deep, or too long.
	**/
	public function writeObject(object:Dynamic):Void {
		ObjectWriter.write(__handle, object);
	}

	public function writeShort(value:Int):Void {
		Failure.check(Binding.writeShort(__handle, value));
	}

	public function writeUnsignedInt(value:Int):Void {
		Failure.check(Binding.writeInt(__handle, value));
	}

	/** Writes a text with its length in bytes before it. Throws RangeError: those are more than 65535. **/
	public function writeUTF(value:String):Void {
		if (!connected || value == null || !Text.hasNul(value)) {
			Failure.check(Binding.writeUTF(__handle, value));
			return;
		}
		// C would see the text end at its NUL.
		var text = new ByteArray();
		text.endian = endian;
		text.writeUTF(value);
		writeBytes(text);
	}

	public function writeUTFBytes(value:String):Void {
		if (value == null)
			throw new TypeError("Parameter value must be non-null.", 2007);
		var text = Bytes.ofString(value);
		Failure.check(Binding.writeBytes(__handle, text, 0, text.length));
	}

	override function __hear(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {
		switch (kind) {
			case CONNECT:
				__connecting = false;
				dispatchEvent(new Event(Event.CONNECT));
			case CLOSE:
				dispatchEvent(new Event(Event.CLOSE));
			case SOCKET_DATA:
				dispatchEvent(new ProgressEvent(ProgressEvent.SOCKET_DATA, false, false, first, second));
			case OUTPUT_PROGRESS:
				dispatchEvent(new OutputProgressEvent(OutputProgressEvent.OUTPUT_PROGRESS, false, false, first, second));
			case IO_ERROR:
				__connecting = false;
				if (__hasReachable(IOErrorEvent.IO_ERROR))
					dispatchEvent(new IOErrorEvent(IOErrorEvent.IO_ERROR, false, false, text, Std.int(first), Std.int(second)));
				else
					__report(new Error('Unhandled IOErrorEvent:. text=$text', 2044));
			case _:
		}
	}

	override function __isAwaiting():Bool {
		return __connecting || connected;
	}

	static function __notNegative(length:Int):Int {
		if (length < 0)
			throw new RangeError("The supplied index is out of bounds.", 2006);
		return length;
	}

	function get_bytesAvailable():Int {
		return Binding.bytesAvailable(__handle);
	}

	function get_bytesPending():Int {
		return Binding.bytesPending(__handle);
	}

	function get_connected():Bool {
		return Binding.isConnected(__handle);
	}

	function get_localAddress():String {
		return Binding.localAddress(__handle);
	}

	function get_localPort():Int {
		return Binding.localPort(__handle);
	}

	function get_remoteAddress():String {
		return Binding.remoteAddress(__handle);
	}

	function get_remotePort():Int {
		return Binding.remotePort(__handle);
	}

	function get_endian():Endian {
		return cast Binding.endian(__handle);
	}

	function set_endian(value:Endian):Endian {
		Failure.check(Binding.setEndian(__handle, value == null ? -1 : cast value));
		return value;
	}

	function get_objectEncoding():ObjectEncoding {
		return Binding.objectEncoding(__handle);
	}

	function set_objectEncoding(value:ObjectEncoding):ObjectEncoding {
		Failure.check(Binding.setObjectEncoding(__handle, value));
		return value;
	}

	function get_timeout():Int {
		return Binding.timeout(__handle);
	}

	function set_timeout(value:Int):Int {
		Failure.check(Binding.setTimeout(__handle, value));
		return value;
	}
}
