// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if cpp
import serversocket.Native;

/**
	One reference to a native server, socket, timer or `Tls`, given back when the collector finds that nobody holds this object.

	The collector may run on another thread, and in the middle of anything: so the reference is given back by the loop, in
	its next turn.
**/
@:cppFileCode('
#include <server_socket.h>

extern "C" {
static void serversocket_release(void *object)
{
	ss_release(object);
}
}
')
@:unreflective
class Handle {
	@:unreflective public var object:ObjectHandle;
	@:unreflective var loop:LoopHandle;

	function new() {}

	/** Takes over a reference to an object of this thread's own loop. **/
	@:unreflective
	public static function own(object:ObjectHandle):Handle {
		var handle = new Handle();
		handle.object = object;
		handle.loop = Native.ss_loop_default();
		cpp.vm.Gc.setFinalizer(handle, cpp.Function.fromStaticFunction(drop));
		return handle;
	}

	/** NULL for null. **/
	@:unreflective
	public static inline function objectOf(handle:Null<Handle>):ObjectHandle {
		return handle == null ? untyped __cpp__("((void *)0)") : handle.object;
	}

	/** Runs inside a collection: it must not allocate. **/
	static function drop(handle:Handle):Void {
		Native.ss_loop_post(handle.loop, CppThunks.release, handle.object, null);
	}
}

/** A handle as what it is in C. **/
extern class HandleCast {
	@:native("static_cast<ss_server *>") static function toServer(object:ObjectHandle):ServerHandle;
	@:native("static_cast<ss_socket *>") static function toSocket(object:ObjectHandle):SocketHandle;
	@:native("static_cast<ss_timer *>") static function toTimer(object:ObjectHandle):TimerHandle;
	@:native("static_cast<ss_tls *>") static function toTls(object:ObjectHandle):TlsHandle;
}
#elseif neko
/** One reference to a native server, socket, timer or `Tls`, which shim.c makes, and gives back when the collector finds it. **/
abstract Handle(Dynamic) {}
#elseif macro
abstract Handle(Dynamic) {}
#end
