// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import haxe.Serializer;
import haxe.Unserializer;
import haxe.io.Bytes;
import serversocket.ByteArray.ByteArrayData;
import serversocket.internal.Binding;
import serversocket.internal.Calls;
import serversocket.internal.Errors;
import serversocket.internal.EventKind;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.Listeners;
import serversocket.internal.Memory;
import serversocket.internal.NetDispatcher;
import serversocket.internal.ObjectReader;
import serversocket.internal.ObjectWriter;
import serversocket.internal.Text;

/**
	AIR's Socket: one end of a TCP connection.

	While it is connecting or connected it is held, as in OpenFL; with `-D server-socket-collect` one that the program does not
	hold is closed when the collector finds it. It belongs to the thread that made it. Events: `Event.CONNECT`,
	`ProgressEvent.SOCKET_DATA`, `OutputProgressEvent.OUTPUT_PROGRESS`, `SocketEvent.END`, `IOErrorEvent.IO_ERROR`, `Event.CLOSE`. Reading, writing,
	flushing and closing throw IOError when it is not connected; what has arrived before the peer closed can be read all the same.
**/
@:nativeProperty // or hxcpp does not find the properties of one that is typed Dynamic
class Socket extends NetDispatcher implements IDataInput implements IDataOutput {
	/** How many bytes can be read. **/
	public var bytesAvailable(get, never):Int;

	/** How many written bytes the system has not taken yet. **/
	public var bytesPending(get, never):Int;

	public var connected(get, never):Bool;

	/** null before the first connection and while connecting, as `remoteAddress`. Stays readable when the connection is over. **/
	public var localAddress(get, never):String;

	/** 0 where `localAddress` is null, as `remotePort`. **/
	public var localPort(get, never):Int;

	public var remoteAddress(get, never):String;
	public var remotePort(get, never):Int;

	/** The byte order of what is read and written from now on. Throws ArgumentError: neither of the two. **/
	public var endian(get, set):Endian;

	/** The format of `readObject` and `writeObject`: AMF3, AMF0 or HXSF. With another one, they throw ArgumentError. **/
	public var objectEncoding:ObjectEncoding;

	/** Milliseconds that connecting may take; 20000 at first. **/
	public var timeout(get, set):Int;

	/**
		How the last connection has ended, in and after `Event.CLOSE`: 0 if the peer has ended it and all of its data has come, else
		the system's number (ECONNRESET, ETIMEDOUT, ...). 0 while there is a connection, and after an end of our own.
	**/
	public var closeError(default, null):Int;

	/** 12 or 13; 0 while it is plain, or the handshake is not done. This and what follows stays until the next `connect`. **/
	public var tlsVersion(get, never):Int;

	/** The name that the client has asked for (SNI), in small letters; null if there is none. **/
	public var serverName(get, never):String;

	/** What both sides have agreed upon of `Tls.setProtocols`; null if nothing. **/
	public var protocol(get, never):String;

	/** What is thought of the peer's certificate; "unknown" if it has none. **/
	public var peerCertificateStatus(get, never):CertificateStatus;

	/** Whether there has been a connection since `connect`. **/
	var __established:Bool;

	/** Connects at once if `host` and `port` are given; see `connect`. **/
	public function new(host:String = null, port:Int = 0) {
		super();
		__open(Binding.newSocket());
		if (host != null && port != 0)
			connect(host, port);
	}

	static function __accept(handle:Handle):Socket {
		var socket:Socket = Type.createEmptyInstance(Socket);
		socket.__open(handle);
		socket.__established = true;
		socket.__hold();
		return socket;
	}

	override function __open(handle:Handle):Void {
		super.__open(handle);
		objectEncoding = ObjectEncoding.DEFAULT;
		__established = false;
		closeError = 0;
		__hearAlways(IOErrorEvent.IO_ERROR);
	}

	/**
		Begins to connect to a host, given by name or address, and returns at once: `Event.CONNECT` or `IOErrorEvent.IO_ERROR`
		follows. A connection that is there already is closed first, without an event.

		Throws SecurityError: no such port. IOError: no host.
	**/
	public function connect(host:String, port:Int):Void {
		__hearAlways(Event.CONNECT);
		Failure.check(Calls.socketConnect(__handle, Text.withoutNul(host), port));
		__attempt();
	}

	/**
		Connects to a Unix-domain socket in place of a host and a port: `path` is that of a file, or on Linux "@name" an abstract
		name. What follows is as with `connect`. Such a connection has no addresses and no ports.

		Throws TypeError: `path` is null. ArgumentError: it is empty, or longer than the system takes (about 100 bytes). Error:
		Windows has no such sockets here; only Linux has abstract names.
	**/
	public function connectPath(path:String):Void {
		__hearAlways(Event.CONNECT);
		Failure.check(Calls.socketConnectPath(__handle, Text.path(path)));
		__attempt();
	}

	function __attempt():Void {
		__established = false;
		closeError = 0;
		__hold();
		Pump.start();
	}

	/** Closes; what was written is still sent in the background. No event follows. **/
	public function close():Void {
		Failure.check(Calls.socketClose(__handle));
		__drop();
	}

	/**
		Ends our side behind all that was written: the peer reads it, and then meets the end. Reading goes on, and the socket stays
		connected, until the peer ends its side, too: then comes `Event.CLOSE`. Nothing can be written any more (IOError). A second
		call does nothing. A peer that never ends its side keeps the socket: set `SocketOption.READ_TIMEOUT`.

		Throws IOError: it is not connected, or not yet.
	**/
	public function shutdown():Void {
		Failure.check(Calls.socketShutdown(__handle));
	}

	/**
		Makes its later connections secure, as SecureSocket's are, or the one that it has (STARTTLS): what is written before leaves plain;
		then `Event.CONNECT` comes when the handshake is done, or `ioError` and `close`. With a `name`, and where the socket itself has connected,
		we are the client, and the server must have a certificate for `name`, null: for the host that was given to `connect`. null for `tls`:
		plain.

		Throws IOError: it is secure or connecting already. ArgumentError: `name` is no host. Error: `Tls.isSupported` is false.
	**/
	public function secure(tls:Null<Tls>, name:String = null):Void {
		Failure.check(Calls.setTls(__handle, tls == null ? null : tls.__handle, Text.withoutNul(name)));
	}

	/** A certificate of the peer's chain, 0 for its own; null if there is none. Also of one that was not trusted. **/
	public function peerCertificate(index:Int = 0):X509Certificate {
		var der = index < 0 ? null : Binding.peerCertificate(__handle, index);
		return der == null ? null : new X509Certificate(der);
	}

	/**
		Who the peer of a Unix-domain connection is.

		Throws IOError: it is not connected. Error: it is a connection by TCP, or the system does not tell.
	**/
	public function peerCredentials():PeerCredentials {
		var found = Binding.peerCredentials(__handle);
		return new PeerCredentials(found[0], found[1], found[2]);
	}

	/** Closes at once and drops what was not sent; the peer sees a reset. **/
	public function abort():Void {
		Failure.check(Calls.socketAbort(__handle));
		__drop();
	}

	/** Sends what was written now, rather than when the listener ends. Never blocks, never loses anything. **/
	public function flush():Void {
		Failure.check(Calls.socketFlush(__handle));
	}

	/** Stops reading until `resume`: the peer has to wait. **/
	public function pause():Void {
		Failure.check(Calls.socketPause(__handle));
	}

	public function resume():Void {
		Failure.check(Calls.socketResume(__handle));
	}

	public function setOption(option:SocketOption, value:Int):Void {
		Failure.check(Calls.setOption(__handle, option, value));
	}

	public function getOption(option:SocketOption):Int {
		return Calls.getOption(__handle, option);
	}

	public function readBoolean():Bool {
		return Calls.socketReadBoolean(__handle);
	}

	public function readByte():Int {
		return Calls.socketReadByte(__handle);
	}

	/** Reads `length` bytes, 0 for all that are there, into `bytes` from `offset` on; `bytes` grows as needed. **/
	public function readBytes(bytes:ByteArrayData, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw Errors.isNull("bytes");
		if (offset < 0 || length < 0)
			throw Errors.range();
		if (length == 0) {
			// Most often all of it fits into what there is. Then it takes one call; what fails, or has nothing, takes the other way.
			var room = Memory.roomFrom(bytes, offset);
			var count = room > 0 ? Calls.socketRead(__handle, Memory.storage(bytes), offset, room) : 0;
			if (count > 0) {
				Memory.wrote(bytes, offset, count);
				if (count < room || bytesAvailable == 0)
					return;
				offset += count;
			}
		}
		var available = bytesAvailable;
		if (length == 0)
			length = available;
		if (length > available) {
			Failure.check(Calls.socketSkip(__handle, length)); // fails, in the right way, and `bytes` stays as it is
			return;
		}
		Memory.reserve(bytes, offset + length);
		Failure.check(Calls.socketReadBytes(__handle, Memory.storage(bytes), offset, length));
	}

	public function readDouble():Float {
		return Calls.socketReadDouble(__handle);
	}

	public function readFloat():Float {
		return Calls.socketReadFloat(__handle);
	}

	public function readInt():Int {
		return Calls.socketReadInt(__handle);
	}

	/** Reads a text of `length` bytes in another charset; an unknown one means UTF-8, as in Flash. **/
	public function readMultiByte(length:Int, charSet:String):String {
		var text = Calls.socketReadMultiByte(__handle, __notNegative(length), charSet);
		return text.getString(0, text.length);
	}

	/**
		Reads an object in the format that `objectEncoding` says. haxe/README.md lists what becomes of which type.

		Throws EOFError: it has not arrived as a whole yet. ArgumentError: what has arrived is no such object. RangeError: it
		is nested more than 128 deep, or too large. After these, all bytes are unread still, but only more bytes after an
		EOFError can mend it. What HXSF says is consumed in any case, once it has arrived.
	**/
	public function readObject():Dynamic {
		if (objectEncoding == ObjectEncoding.HXSF) {
			var text = readUTF();
			try {
				return Unserializer.run(text);
			} catch (error:haxe.Exception) {
				throw Errors.explained(Errors.argument(), 'no Haxe serialization: ${error.message}');
			}
		}
		__useEncoding();
		return ObjectReader.read(Calls.socketReadObject(__handle));
	}

	public function readShort():Int {
		return Calls.socketReadShort(__handle);
	}

	public function readUnsignedByte():Int {
		return Calls.socketReadUnsignedByte(__handle);
	}

	/** From 2147483648 on negative, as `Int` is: assign it to a `UInt`. **/
	public function readUnsignedInt():Int {
		return Calls.socketReadUnsignedInt(__handle);
	}

	public function readUnsignedShort():Int {
		return Calls.socketReadUnsignedShort(__handle);
	}

	/** Reads a text with its length in bytes before it. What is not UTF-8 becomes U+FFFD. **/
	public function readUTF():String {
		var text = Calls.socketReadUtf(__handle);
		return Text.decode(text, 0, text.length);
	}

	public function readUTFBytes(length:Int):String {
		return readMultiByte(length, "utf-8"); // which makes U+FFFD of what is malformed
	}

	public function writeBoolean(value:Bool):Void {
		Failure.check(Calls.socketWriteBoolean(__handle, value));
	}

	public function writeByte(value:Int):Void {
		Failure.check(Calls.socketWriteByte(__handle, value));
	}

	/** Writes `length` bytes, 0 for all from `offset` on. Throws RangeError: `bytes` has not that many. **/
	public function writeBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw Errors.isNull("bytes");
		var available = Memory.lengthOf(bytes) - offset;
		if (offset < 0 || length < 0 || length > available || available < 0)
			throw Errors.range();
		Failure.check(Calls.socketWriteBytes(__handle, Memory.storage(bytes), offset, length == 0 ? available : length));
	}

	public function writeDouble(value:Float):Void {
		Failure.check(Calls.socketWriteDouble(__handle, value));
	}

	public function writeFloat(value:Float):Void {
		Failure.check(Calls.socketWriteFloat(__handle, value));
	}

	public function writeInt(value:Int):Void {
		Failure.check(Calls.socketWriteInt(__handle, value));
	}

	/** Writes a text in another charset; what that has not is sent as '?'. Throws ArgumentError: it contains a NUL. **/
	public function writeMultiByte(value:String, charSet:String):Void {
		if (value != null && Text.hasNul(value))
			throw Errors.argument();
		Failure.check(Calls.socketWriteMultiByte(__handle, value, charSet));
	}

	/**
		Writes an object in the format that `objectEncoding` says, with all that it leads to, or nothing. In AMF, instances of
		classes that have no alias, see `Lib.registerClassAlias`, become structures.

		Throws ArgumentError: there is something in it that the format has no form for: a function, a socket, ...
		RangeError: it is nested more than 128 deep, or too long: in HXSF, for 65535 bytes.
	**/
	public function writeObject(object:Dynamic):Void {
		if (objectEncoding == ObjectEncoding.HXSF) {
			writeUTF(Serializer.run(object));
			return;
		}
		__useEncoding();
		ObjectWriter.write(__handle, object);
	}

	function __useEncoding():Void {
		Failure.check(Calls.socketSetObjectEncoding(__handle, objectEncoding));
	}

	public function writeShort(value:Int):Void {
		Failure.check(Calls.socketWriteShort(__handle, value));
	}

	public function writeUnsignedInt(value:Int):Void {
		Failure.check(Calls.socketWriteInt(__handle, value));
	}

	/** Writes a text with its length in bytes before it. Throws RangeError: those are more than 65535. **/
	public function writeUTF(value:String):Void {
		if (!connected || value == null || !Text.hasNul(value)) {
			Failure.check(Calls.socketWriteUtf(__handle, value));
			return;
		}
		// C would see the text end at its NUL.
		var text = Bytes.ofString(value);
		if (text.length > 0xFFFF)
			throw Errors.range();
		var whole = Bytes.alloc(2 + text.length);
		var isLittle = endian == LITTLE_ENDIAN;
		whole.set(isLittle ? 0 : 1, text.length & 0xFF);
		whole.set(isLittle ? 1 : 0, text.length >> 8);
		whole.blit(2, text, 0, text.length);
		Failure.check(Calls.socketWriteBytes(__handle, whole, 0, whole.length));
	}

	public function writeUTFBytes(value:String):Void {
		if (value == null)
			throw Errors.isNull("value");
		var text = Bytes.ofString(value);
		Failure.check(Calls.socketWriteBytes(__handle, text, 0, text.length));
	}

	override function __hear(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {
		switch (kind) {
			case CONNECT:
				__established = true;
				dispatchEvent(new Event(Event.CONNECT));
			case CLOSE:
				__drop(); // before the listeners: they may connect again
				closeError = Std.int(first);
				dispatchEvent(new Event(Event.CLOSE));
			case SOCKET_DATA:
				dispatchEvent(new ProgressEvent(ProgressEvent.SOCKET_DATA, false, false, first, second));
			case OUTPUT_PROGRESS:
				dispatchEvent(new OutputProgressEvent(OutputProgressEvent.OUTPUT_PROGRESS, false, false, first, second));
			case IO_ERROR:
				if (!__established) // else "close" follows
					__drop();
				if (Listeners.hasReachable(this, IOErrorEvent.IO_ERROR))
					dispatchEvent(new SocketErrorEvent(IOErrorEvent.IO_ERROR, false, false, __errorText(first), Std.int(first), Std.int(second), text));
				else
					Listeners.unheard(this, Errors.of(1, 'Unhandled IOErrorEvent:. text=${__errorText(first)}', 2044));
			case END:
				dispatchEvent(new SocketEvent(SocketEvent.END));
			case _:
		}
	}

	/** As C's `ss_event_text` has it. **/
	static function __errorText(id:Float):String {
		return 'Error #$id: Socket Error.';
	}

	static function __notNegative(length:Int):Int {
		if (length < 0)
			throw Errors.range();
		return length;
	}

	function get_bytesAvailable():Int {
		return Calls.socketBytesAvailable(__handle);
	}

	function get_bytesPending():Int {
		return Calls.socketBytesPending(__handle);
	}

	function get_connected():Bool {
		return Calls.socketConnected(__handle);
	}

	function get_localAddress():String {
		return Calls.socketLocalAddress(__handle);
	}

	function get_localPort():Int {
		return Calls.socketLocalPort(__handle);
	}

	function get_remoteAddress():String {
		return Calls.socketRemoteAddress(__handle);
	}

	function get_remotePort():Int {
		return Calls.socketRemotePort(__handle);
	}

	function get_tlsVersion():Int {
		return Calls.socketTlsVersion(__handle);
	}

	function get_serverName():String {
		return Calls.socketServerName(__handle);
	}

	function get_protocol():String {
		return Calls.socketProtocol(__handle);
	}

	function get_peerCertificateStatus():CertificateStatus {
		return Calls.socketCertificateStatus(__handle);
	}

	function get_endian():Endian {
		return cast Calls.socketEndian(__handle);
	}

	function set_endian(value:Endian):Endian {
		Failure.check(Calls.socketSetEndian(__handle, value == null ? -1 : cast value));
		return value;
	}

	function get_timeout():Int {
		return Calls.socketTimeout(__handle);
	}

	function set_timeout(value:Int):Int {
		Failure.check(Calls.socketSetTimeout(__handle, value));
		return value;
	}
}
