// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if cpp
import serversocket.Native;

/** The C++ functions in CppBinding.hx and Handle.hx, each for that file only. **/
@:unreflective
extern class CppThunks {
	/** Listens for every event; `user_data` is a `word`. **/
	@:native("serversocket_hear") static final hear:Listener;

	/** A timer's task; `user_data` is a `word` of the kind 0. **/
	@:native("serversocket_tick") static final tick:Task;

	/** `ss_loop_poll` and `ss_loop_run`, which wait where the collector need not wait for them. **/
	@:native("serversocket_poll") static function poll(timeout:Int, events:cpp.RawPointer<cpp.UInt32>):Int;

	@:native("serversocket_run") static function run():Int;

	/** A task that gives a reference back. **/
	@:native("serversocket_release") static final release:Task;

	/** A key and a kind of event in one word. **/
	@:native("serversocket_word") static function word(key:Int, kind:Int):cpp.RawPointer<cpp.Void>;
}
#end
