package serversocket.internal;

#if cpp
import cpp.ConstCharStar;
import cpp.RawPointer;
import haxe.io.Bytes;
import serversocket.Native;
import serversocket.internal.Value;

/**
	The C library on hxcpp.

	The poll waits in a zone that the collector need not wait for. C calls the listener below from within it, so a C++
	function stands in between: it leaves the zone, or makes the thread known to the collector, before anything of Haxe's
	runs, and undoes that on every path. Nothing is thrown through C: `deliver` catches all, and that function the rest.
**/
@:cppFileCode('
#include <server_socket.h>
#include <stdint.h>

namespace {
/* While it lives the thread may run Haxe code. */
class Visit {
	bool left_free_zone;
	hx::NativeAttach attached;
public:
	Visit() : left_free_zone(hx::TryExitGCFreeZone()), attached(HX_CTX_GET == 0) {}
	~Visit() { if (left_free_zone) hx::EnterGCFreeZone(); }
};
}

static void *serversocket_word(int key, int kind)
{
	return reinterpret_cast<void *>(static_cast<intptr_t>(key) * 8 + kind);
}

static ::cpp::Int64 serversocket_word_of(const void *pointer)
{
	return reinterpret_cast<intptr_t>(pointer);
}

extern "C" void serversocket_hear(ss_event *event, void *user_data)
{
	Visit visit;
	intptr_t word = reinterpret_cast<intptr_t>(user_data);
	try {
		::serversocket::internal::CppBinding_obj::deliver(event, static_cast<int>(word >> 3), static_cast<int>(word & 7));
	} catch (...) {
		fputs("serversocket: an error got past all who should have caught it\\n", stderr);
	}
}
')
@:unreflective
class CppBinding {
	static inline final OUT_OF_RANGE = Native.SS_ERR_RANGE;

	/** The names of the kinds of events, as C strings. **/
	static inline function nameOf(kind:EventKind):ConstCharStar {
		return switch (kind) {
			case CONNECT: "connect";
			case CLOSE: "close";
			case SOCKET_DATA: "socketData";
			case OUTPUT_PROGRESS: "outputProgress";
			case _: "ioError";
		}
	}

	public static function lastErrorId():Int {
		return Native.ss_last_error_id();
	}

	public static function lastErrorMessage():String {
		return Native.ss_last_error_message().toString();
	}

	public static function lastErrorDetail():String {
		return Native.ss_last_error_detail().toString();
	}

	public static function lastOsError():Int {
		return Native.ss_last_os_error();
	}

	public static function isSupported():Bool {
		return Native.ss_is_supported();
	}

	public static function poll(timeout:Int):Int {
		var events:cpp.UInt32 = 0;
		cpp.vm.Gc.enterGCFreeZone();
		var status = Native.ss_loop_poll(null, timeout, RawPointer.addressOf(events));
		cpp.vm.Gc.exitGCFreeZone();
		Failure.check(status);
		return events;
	}

	public static function run():Int {
		cpp.vm.Gc.enterGCFreeZone();
		var status = Native.ss_loop_run(null);
		cpp.vm.Gc.exitGCFreeZone();
		return status;
	}

	public static function stop():Int {
		return Native.ss_loop_stop(null);
	}

	public static function addListener(handle:Handle, kind:EventKind, key:Int):Int {
		return Native.ss_add_listener(handle.object, nameOf(kind), CppThunks.hear, CppThunks.word(key, kind), false, 0);
	}

	public static function removeListener(handle:Handle, kind:EventKind, key:Int):Int {
		return Native.ss_remove_listener(handle.object, nameOf(kind), CppThunks.hear, CppThunks.word(key, kind), false);
	}

	/** What serversocket_hear calls. **/
	@:keep
	static function deliver(event:EventHandle, key:Int, kind:EventKind):Void {
		var object = Home.current().find(key);
		if (object == null) // collected, and to be released by the loop in a moment
			return;
		switch (kind) {
			case CONNECT:
				object.__hear(kind, 0, 0, accepted(event), null);
			case CLOSE:
				object.__hear(kind, 0, 0, null, null);
			case SOCKET_DATA:
				object.__hear(kind, Native.ss_event_bytes_loaded(event), Native.ss_event_bytes_total(event), null, null);
			case OUTPUT_PROGRESS:
				object.__hear(kind, Native.ss_event_bytes_pending(event), Native.ss_event_bytes_total(event), null, null);
			case _:
				object.__hear(kind, Native.ss_event_error_id(event), Native.ss_event_os_error(event), null,
					Native.ss_event_text(event).toString());
		}
	}

	/** A server's event brings a socket, a client's does not. **/
	static function accepted(event:EventHandle):Null<Handle> {
		var socket:ObjectHandle = ToObject.ofSocket(Native.ss_event_socket(event));
		return Native.ss_retain(socket) == Native.SS_OK ? Handle.own(socket) : null;
	}

	public static function newServer():Handle {
		return made(ToObject.ofServer(Native.ss_new(null)));
	}

	public static function newSocket():Handle {
		return made(ToObject.ofSocket(Native.ss_socket_new(null)));
	}

	static function made(object:ObjectHandle):Handle {
		if (object == null)
			Failure.raiseOfConstructor();
		return Handle.own(object);
	}

	public static function setOption(handle:Handle, option:Int, value:Int):Int {
		return Native.ss_set_option(handle.object, option, value);
	}

	public static function getOption(handle:Handle, option:Int):Int {
		var value:cpp.Int64 = 0;
		Failure.check(Native.ss_get_option(handle.object, option, RawPointer.addressOf(value)));
		return haxe.Int64.toInt(value);
	}

	public static function bind(handle:Handle, port:Int, address:String):Int {
		return Native.ss_bind(handle.server, port, ConstCharStar.fromString(address));
	}

	public static function listen(handle:Handle, backlog:Int):Int {
		return Native.ss_listen(handle.server, backlog);
	}

	public static function closeServer(handle:Handle):Int {
		return Native.ss_close(handle.server);
	}

	public static function pauseServer(handle:Handle):Int {
		return Native.ss_pause(handle.server);
	}

	public static function resumeServer(handle:Handle):Int {
		return Native.ss_resume(handle.server);
	}

	public static function isBound(handle:Handle):Bool {
		return Native.ss_bound(handle.server);
	}

	public static function isListening(handle:Handle):Bool {
		return Native.ss_listening(handle.server);
	}

	public static function serverAddress(handle:Handle):String {
		return Native.ss_local_address(handle.server).toString();
	}

	public static function serverPort(handle:Handle):Int {
		return Native.ss_local_port(handle.server);
	}

	public static function connect(handle:Handle, host:String, port:Int):Int {
		return Native.ss_socket_connect(handle.socket, ConstCharStar.fromString(host), port);
	}

	public static function closeSocket(handle:Handle):Int {
		return Native.ss_socket_close(handle.socket);
	}

	public static function abort(handle:Handle):Int {
		return Native.ss_socket_abort(handle.socket);
	}

	public static function flush(handle:Handle):Int {
		return Native.ss_socket_flush(handle.socket);
	}

	public static function pauseSocket(handle:Handle):Int {
		return Native.ss_socket_pause(handle.socket);
	}

	public static function resumeSocket(handle:Handle):Int {
		return Native.ss_socket_resume(handle.socket);
	}

	public static function isConnected(handle:Handle):Bool {
		return Native.ss_socket_connected(handle.socket);
	}

	public static function bytesAvailable(handle:Handle):Int {
		return Native.ss_socket_bytes_available(handle.socket);
	}

	public static function bytesPending(handle:Handle):Int {
		return Native.ss_socket_bytes_pending(handle.socket);
	}

	public static function localAddress(handle:Handle):String {
		return Native.ss_socket_local_address(handle.socket).toString();
	}

	public static function localPort(handle:Handle):Int {
		return Native.ss_socket_local_port(handle.socket);
	}

	public static function remoteAddress(handle:Handle):String {
		return Native.ss_socket_remote_address(handle.socket).toString();
	}

	public static function remotePort(handle:Handle):Int {
		return Native.ss_socket_remote_port(handle.socket);
	}

	public static function endian(handle:Handle):Int {
		return Native.ss_socket_endian(handle.socket);
	}

	public static function setEndian(handle:Handle, endian:Int):Int {
		return Native.ss_socket_set_endian(handle.socket, endian);
	}

	public static function objectEncoding(handle:Handle):Int {
		return Native.ss_socket_object_encoding(handle.socket);
	}

	public static function setObjectEncoding(handle:Handle, encoding:Int):Int {
		return Native.ss_socket_set_object_encoding(handle.socket, encoding);
	}

	public static function timeout(handle:Handle):Int {
		return Native.ss_socket_timeout(handle.socket);
	}

	public static function setTimeout(handle:Handle, timeout:Int):Int {
		return Native.ss_socket_set_timeout(handle.socket, timeout);
	}

	public static function skip(handle:Handle, length:Int):Int {
		return Native.ss_socket_skip(handle.socket, length);
	}

	public static function readBytes(handle:Handle, bytes:Bytes, offset:Int, length:Int):Int {
		return Native.ss_socket_read_bytes(handle.socket, Address.of(bytes, offset), length);
	}

	public static function writeBytes(handle:Handle, bytes:Bytes, offset:Int, length:Int):Int {
		return Native.ss_socket_write_bytes(handle.socket, Address.ofConst(bytes, offset), length);
	}

	public static function readBoolean(handle:Handle):Bool {
		var value:Bool = false;
		Failure.check(Native.ss_socket_read_boolean(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readByte(handle:Handle):Int {
		var value:cpp.Int8 = 0;
		Failure.check(Native.ss_socket_read_byte(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readUnsignedByte(handle:Handle):Int {
		var value:cpp.UInt8 = 0;
		Failure.check(Native.ss_socket_read_unsigned_byte(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readShort(handle:Handle):Int {
		var value:cpp.Int16 = 0;
		Failure.check(Native.ss_socket_read_short(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readUnsignedShort(handle:Handle):Int {
		var value:cpp.UInt16 = 0;
		Failure.check(Native.ss_socket_read_unsigned_short(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readInt(handle:Handle):Int {
		var value:cpp.Int32 = 0;
		Failure.check(Native.ss_socket_read_int(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readUnsignedInt(handle:Handle):Int {
		var value:cpp.UInt32 = 0;
		Failure.check(Native.ss_socket_read_unsigned_int(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readFloat(handle:Handle):Float {
		var value:cpp.Float32 = 0;
		Failure.check(Native.ss_socket_read_float(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function readDouble(handle:Handle):Float {
		var value:cpp.Float64 = 0;
		Failure.check(Native.ss_socket_read_double(handle.socket, RawPointer.addressOf(value)));
		return value;
	}

	public static function writeBoolean(handle:Handle, value:Bool):Int {
		return Native.ss_socket_write_boolean(handle.socket, value);
	}

	public static function writeByte(handle:Handle, value:Int):Int {
		return Native.ss_socket_write_byte(handle.socket, value);
	}

	public static function writeShort(handle:Handle, value:Int):Int {
		return Native.ss_socket_write_short(handle.socket, value);
	}

	public static function writeInt(handle:Handle, value:Int):Int {
		return Native.ss_socket_write_int(handle.socket, value);
	}

	public static function writeFloat(handle:Handle, value:Float):Int {
		return Native.ss_socket_write_float(handle.socket, value);
	}

	public static function writeDouble(handle:Handle, value:Float):Int {
		return Native.ss_socket_write_double(handle.socket, value);
	}

	public static function writeUTF(handle:Handle, text:String):Int {
		return Native.ss_socket_write_utf(handle.socket, ConstCharStar.fromString(text));
	}

	public static function writeMultiByte(handle:Handle, text:String, charset:String):Int {
		return Native.ss_socket_write_multi_byte(handle.socket, ConstCharStar.fromString(text), ConstCharStar.fromString(charset));
	}

	public static function readUTF(handle:Handle):String {
		var room = Bytes.alloc(FIRST_ROOM);
		var length:cpp.SizeT = 0;
		var status = Native.ss_socket_read_utf(handle.socket, Address.ofText(room), room.length, RawPointer.addressOf(length));
		if (status == OUT_OF_RANGE) {
			room = Bytes.alloc(length + 1);
			status = Native.ss_socket_read_utf(handle.socket, Address.ofText(room), room.length, RawPointer.addressOf(length));
		}
		Failure.check(status);
		return Text.decode(room, 0, length);
	}

	public static function readUTFBytes(handle:Handle, byteLength:Int):String {
		return readMultiByte(handle, byteLength, "utf-8"); // which makes U+FFFD of what is malformed
	}

	public static function readMultiByte(handle:Handle, byteLength:Int, charset:String):String {
		var room = Bytes.alloc(FIRST_ROOM);
		var length:cpp.SizeT = 0;
		var name = ConstCharStar.fromString(charset);
		var status = Native.ss_socket_read_multi_byte(handle.socket, byteLength, name, Address.ofText(room), room.length,
			RawPointer.addressOf(length));
		if (status == OUT_OF_RANGE) {
			room = Bytes.alloc(length + 1);
			status = Native.ss_socket_read_multi_byte(handle.socket, byteLength, name, Address.ofText(room), room.length,
				RawPointer.addressOf(length));
		}
		Failure.check(status);
		return room.getString(0, length);
	}

	public static function readObject(handle:Handle):Value {
		var value:ValueHandle = null;
		Failure.check(Native.ss_socket_read_object(handle.socket, RawPointer.addressOf(value)));
		return ValueCast.toWord(value);
	}

	public static function writeObject(handle:Handle, value:Value):Int {
		return Native.ss_socket_write_object(handle.socket, ValueCast.toHandle(value));
	}

	public static function newValue():Value {
		return madeValue(Native.ss_value_new(Native.SS_VALUE_UNDEFINED));
	}

	static function madeValue(value:ValueHandle):Value {
		if (value == null)
			Failure.raiseOfConstructor();
		return ValueCast.toWord(value);
	}

	public static function releaseValue(value:Value):Void {
		Native.ss_release(ValueCast.toObject(value));
	}

	/** The value as a word, which is the same for the same value. **/
	public static function valueWord(value:Value):haxe.Int64 {
		return value;
	}

	public static function valueType(value:Value):Int {
		return Native.ss_value_type(ValueCast.toHandle(value));
	}

	public static function valueBoolean(value:Value):Bool {
		return Native.ss_value_boolean(ValueCast.toHandle(value));
	}

	public static function valueNumber(value:Value):Float {
		return Native.ss_value_number(ValueCast.toHandle(value));
	}

	static inline function textOf(value:Value, which:TextOf, length:RawPointer<cpp.SizeT>):ConstCharStar {
		return switch (which) {
			case CONTENTS: Native.ss_value_bytes(ValueCast.toHandle(value), length);
			case CLASS: Native.ss_value_class_name(ValueCast.toHandle(value), length);
			case _: Native.ss_value_property_name(ValueCast.toHandle(value), which, length);
		}
	}

	/** A word that is the same for the same text; 0 if there is none. **/
	public static function valueTextAddress(value:Value, which:TextOf):haxe.Int64 {
		return ValueCast.toAddress(textOf(value, which, null));
	}

	/** A copy. **/
	public static function valueText(value:Value, which:TextOf):Bytes {
		var length:cpp.SizeT = 0;
		var text = textOf(value, which, RawPointer.addressOf(length));
		var bytes = Bytes.alloc(length);
		if (length > 0)
			cpp.Native.memcpy(Address.of(bytes, 0), text, length);
		return bytes;
	}

	public static function valueItemCount(value:Value):Int {
		return Native.ss_value_item_count(ValueCast.toHandle(value));
	}

	public static function valueItem(value:Value, index:Int):Value {
		return madeValue(Native.ss_value_item(ValueCast.toHandle(value), index));
	}

	public static function valuePropertyCount(value:Value):Int {
		return Native.ss_value_property_count(ValueCast.toHandle(value));
	}

	public static function valueProperty(value:Value, index:Int):Value {
		return madeValue(Native.ss_value_property_at(ValueCast.toHandle(value), index));
	}

	public static function setValue(value:Value, type:ValueType):Int {
		return Native.ss_value_set(ValueCast.toHandle(value), type);
	}

	public static function setValueBoolean(value:Value, boolean:Bool):Int {
		return Native.ss_value_set_boolean(ValueCast.toHandle(value), boolean);
	}

	public static function setValueInteger(value:Value, integer:Int):Int {
		return Native.ss_value_set_integer(ValueCast.toHandle(value), integer);
	}

	public static function setValueNumber(value:Value, number:Float):Int {
		return Native.ss_value_set_number(ValueCast.toHandle(value), number);
	}

	public static function setValueDate(value:Value, milliseconds:Float):Int {
		return Native.ss_value_set_date(ValueCast.toHandle(value), milliseconds);
	}

	public static function setValueBytes(value:Value, type:ValueType, bytes:Bytes, length:Int):Int {
		return Native.ss_value_set_bytes(ValueCast.toHandle(value), type, Address.ofConst(bytes, 0), length);
	}

	public static function setValueClass(value:Value, name:String):Int {
		return Native.ss_value_set_class_name(ValueCast.toHandle(value), ConstCharStar.fromString(name));
	}

	public static function assignValue(value:Value, other:Value):Int {
		return Native.ss_value_assign(ValueCast.toHandle(value), ValueCast.toHandle(other));
	}

	public static function addItem(value:Value):Value {
		return madeValue(Native.ss_value_add_item(ValueCast.toHandle(value)));
	}

	public static function addProperty(value:Value, name:String):Value {
		return madeValue(Native.ss_value_add_property(ValueCast.toHandle(value), ConstCharStar.fromString(name)));
	}

	/** Room for a text, in bytes, before it is known how long it is. **/
	static inline final FIRST_ROOM = 256;
}

/** Handles as what they are in C: pointers to anything. **/
private extern class ToObject {
	@:native("static_cast<void *>") static function ofServer(server:ServerHandle):ObjectHandle;
	@:native("static_cast<void *>") static function ofSocket(socket:SocketHandle):ObjectHandle;
}

/** Values as words, which Haxe can keep anywhere, and back. **/
private extern class ValueCast {
	@:native("serversocket_word_of") static function toWord(value:ValueHandle):Value;
	@:native("serversocket_word_of") static function toAddress(text:ConstCharStar):cpp.Int64;
	@:native("reinterpret_cast<ss_value *>") static function toHandle(value:Value):ValueHandle;
	@:native("reinterpret_cast<void *>") static function toObject(value:Value):ObjectHandle;
}
#end
