// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if cpp
import cpp.ConstCharStar;
import cpp.RawPointer;
import haxe.io.Bytes;
import serversocket.Native;
import serversocket.internal.Handle.HandleCast;
import serversocket.internal.Value;

/**
	What of the C library needs more than a call, on hxcpp; the rest is in `Calls`.

	A poll that waits does so in a zone that the collector need not wait for. C calls the listener below from within it, so a C++
	function stands in between: it leaves the zone, or makes the thread known to the collector, before anything of Haxe's
	runs, and undoes that on every path. But the first listener of a poll leaves the zone for good, since the waiting is over then:
	entering it takes as long as a message. Those that follow have nothing to do. Nothing is thrown through C: `deliver` catches
	all, and that function the rest.
**/
@:cppFileCode('
#include <server_socket.h>
#include <stdint.h>

namespace {
/* What a listener finds on this thread: it may be in the zone, and goes back to it; the same, but it stays out, since the poll does
   not go back to waiting; it is out of it. */
enum State { UNKNOWN, LEAVING, OUT };
thread_local State state = UNKNOWN;

/* While it lives the thread may run Haxe code. */
class Visit {
	bool left_free_zone;
	hx::NativeAttach attached;
public:
	Visit() : left_free_zone(state != OUT && hx::TryExitGCFreeZone()), attached(state != OUT && HX_CTX_GET == 0)
	{
		if (state == LEAVING)
			state = OUT;
	}
	~Visit() { if (left_free_zone && state == UNKNOWN) hx::EnterGCFreeZone(); }
};

/* In a zone that the collector need not wait for, unless a listener has left it. */
int wait(ss_status (*call)(int, uint32_t *), State within, int timeout, uint32_t *events)
{
	State before = state;
	state = within;
	hx::EnterGCFreeZone();
	int status = call(timeout, events);
	hx::TryExitGCFreeZone();
	state = before;
	return status;
}

ss_status turn(int timeout, uint32_t *events)
{
	return ss_loop_poll(NULL, timeout, events);
}

ss_status turns(int, uint32_t *)
{
	return ss_loop_run(NULL);
}
}

/* What comes without waiting the collector may as well wait for. */
static int serversocket_poll(int timeout, uint32_t *events)
{
	return timeout == 0 ? turn(0, events) : wait(turn, LEAVING, timeout, events);
}

static int serversocket_run()
{
	return wait(turns, UNKNOWN, 0, NULL);
}

static void *serversocket_word(int key, int kind)
{
	return reinterpret_cast<void *>(static_cast<intptr_t>(key) * 8 + kind);
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

extern "C" void serversocket_tick(void *user_data)
{
	Visit visit;
	try {
		::serversocket::internal::CppBinding_obj::tick(static_cast<int>(reinterpret_cast<intptr_t>(user_data) >> 3));
	} catch (...) {
		fputs("serversocket: an error got past all who should have caught it\\n", stderr);
	}
}
')
@:unreflective
class CppBinding {
	/** The names of the kinds of events, as C strings. **/
	static inline function nameOf(kind:EventKind):ConstCharStar {
		return switch (kind) {
			case CONNECT: "connect";
			case CLOSE: "close";
			case SOCKET_DATA: "socketData";
			case OUTPUT_PROGRESS: "outputProgress";
			case END: "end";
			case HANDSHAKE_ERROR: "handshakeError";
			case _: "ioError";
		}
	}

	public static function poll(timeout:Int):Int {
		var events:cpp.UInt32 = untyped __cpp__("0"); // not 0: the optimiser would think that it stays so
		var home = Home.current();
		var isNested = home.arrive();
		var status = CppThunks.poll(timeout, RawPointer.addressOf(events));
		home.leave(isNested);
		Failure.check(status);
		return events;
	}

	public static function run():Int {
		var home = Home.current();
		var isNested = home.arrive();
		var status = CppThunks.run();
		home.leave(isNested);
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
		var first = 0.0, second = 0.0;
		var socket:Null<Handle> = null;
		var text:Null<String> = null;
		switch (kind) {
			case SOCKET_DATA:
				first = Native.ss_event_bytes_loaded(event);
			case CONNECT:
				socket = accepted(event);
			case CLOSE:
				first = Native.ss_event_os_error(event);
			case OUTPUT_PROGRESS:
				first = Native.ss_event_bytes_pending(event);
				second = Native.ss_event_bytes_total(event);
			case END:
			case HANDSHAKE_ERROR:
				first = Native.ss_event_os_error(event);
				text = Native.ss_event_detail(event).toString();
			case _:
				first = Native.ss_event_error_id(event);
				second = Native.ss_event_os_error(event);
				text = Native.ss_event_detail(event).toString();
		}
		object.__tell(kind, first, second, socket, text);
	}

	/** What serversocket_tick calls. **/
	@:keep
	static function tick(key:Int):Void {
		Home.current().tick(key);
	}

	/** A server's event brings a socket, a client's does not. **/
	static function accepted(event:EventHandle):Null<Handle> {
		var socket:ObjectHandle = ToObject.ofSocket(Native.ss_event_socket(event));
		return Native.ss_retain(socket) == Native.SS_OK ? Handle.own(socket) : null;
	}

	public static function newServer():Handle {
		return owned(ToObject.ofServer(Native.ss_new(null)));
	}

	public static function newSocket():Handle {
		return owned(ToObject.ofSocket(Native.ss_socket_new(null)));
	}

	/** Starts at once. **/
	public static function newTimer(delay:Int, period:Int, key:Int):Handle {
		return owned(ToObject.ofTimer(Native.ss_timer_new(null, delay, period, CppThunks.tick, CppThunks.word(key, 0), null)));
	}

	/** The user, the group and the process. **/
	public static function peerCredentials(socket:Handle):Array<Int> {
		var user:cpp.UInt32 = untyped __cpp__("0");
		var group:cpp.UInt32 = untyped __cpp__("0");
		var process:cpp.Int32 = untyped __cpp__("0");
		Failure.check(Native.ss_socket_peer_credentials(HandleCast.toSocket(socket.object), RawPointer.addressOf(user),
			RawPointer.addressOf(group), RawPointer.addressOf(process)));
		return [user, group, process];
	}

	public static function newTls():Handle {
		return owned(ToObject.ofTls(Native.ss_tls_new()));
	}

	/** Without a chain, the identity of that name is removed. **/
	public static function setIdentity(tls:Handle, name:String, chain:Null<Bytes>, chainLength:Int, key:Null<Bytes>, keyLength:Int):Int {
		return Native.ss_tls_set_identity(HandleCast.toTls(tls.object), ConstCharStar.fromString(name), placeOf(chain), chainLength, placeOf(key),
			keyLength);
	}

	public static function setTicketSecret(tls:Handle, secret:Null<Bytes>, length:Int):Int {
		return Native.ss_tls_set_ticket_secret(HandleCast.toTls(tls.object), placeOf(secret), length);
	}

	@:unreflective
	static function placeOf(bytes:Null<Bytes>):cpp.RawConstPointer<cpp.Void> {
		if (bytes == null)
			return untyped __cpp__("((const void *)0)");
		return Address.ofConst(bytes, 0);
	}

	/** A copy, null if there is none. **/
	public static function peerCertificate(socket:Handle, index:Int):Null<Bytes> {
		var length:cpp.SizeT = untyped __cpp__("0");
		var found = Native.ss_socket_peer_certificate(HandleCast.toSocket(socket.object), index, RawPointer.addressOf(length));
		if (found == null)
			return null;
		var bytes = Bytes.alloc(length);
		cpp.Native.memcpy(Address.of(bytes, 0), found, length);
		return bytes;
	}

	static function owned(object:ObjectHandle):Handle {
		if (object == null)
			Failure.raiseOfConstructor();
		return Handle.own(object);
	}

	/** A value that C has returned, unless it has failed. **/
	public static function made(value:ValueHandle):Value {
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

	static function textOf(value:Value, which:TextOf, length:RawPointer<cpp.SizeT>):ConstCharStar {
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
		var length:cpp.SizeT = untyped __cpp__("0");
		var text = textOf(value, which, RawPointer.addressOf(length));
		var bytes = Bytes.alloc(length);
		if (length > 0)
			cpp.Native.memcpy(Address.of(bytes, 0), text, length);
		return bytes;
	}
}

/** Handles as what they are in C: pointers to anything. **/
private extern class ToObject {
	@:native("static_cast<void *>") static function ofServer(server:ServerHandle):ObjectHandle;
	@:native("static_cast<void *>") static function ofSocket(socket:SocketHandle):ObjectHandle;
	@:native("static_cast<void *>") static function ofTimer(timer:TimerHandle):ObjectHandle;
	@:native("static_cast<void *>") static function ofTls(tls:TlsHandle):ObjectHandle;
}

/** Values as words, which Haxe can keep anywhere, and back. **/
extern class ValueCast {
	@:native("reinterpret_cast<intptr_t>") static function toWord(value:ValueHandle):Value;
	@:native("reinterpret_cast<intptr_t>") static function toAddress(text:ConstCharStar):cpp.Int64;
	@:native("reinterpret_cast<ss_value *>") static function toHandle(value:Value):ValueHandle;
	@:native("reinterpret_cast<void *>") static function toObject(value:Value):ObjectHandle;
}
#end
