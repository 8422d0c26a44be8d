// SPDX-License-Identifier: MIT OR Apache-2.0
#if cpp
import cpp.RawPointer;
import serversocket.Native;

/** The bindings by themselves: handles and listeners without the classes. **/
@:keep
@:cppFileCode('
#include <server_socket.h>
#include <stdint.h>
#include <thread>

/* A listener as a user of Native would write it: it knows nothing of the thread that it runs on. */
extern "C" void native_tests_listener(ss_event *event, void *user_data)
{
	hx::NativeAttach attached(HX_CTX_GET == 0);
	bool left_free_zone = hx::TryExitGCFreeZone();
	NativeTests_obj::heard(static_cast<int>(reinterpret_cast<intptr_t>(user_data)));
	if (left_free_zone) hx::EnterGCFreeZone();
}

static void native_tests_dispatch(int count)
{
	ss_server *server = ss_new(NULL);
	ss_add_listener(server, "x", native_tests_listener, reinterpret_cast<void *>(static_cast<intptr_t>(7)), false, 0);
	for (int i = 0; i < count; i++) {
		ss_event *event = ss_event_new("x", false, false);
		ss_dispatch_event(server, event, NULL);
		ss_release(event);
	}
	ss_release(server);
}

/* On a thread that the collector has never heard of. */
static void native_tests_on_unknown_thread(int count)
{
	hx::AutoGCFreeZone zone;
	std::thread(native_tests_dispatch, count).join();
}
')
class NativeTests {
	static var sum:Int;
	static var kept:Array<String>;

	public function new() {}

	@:keep
	static function heard(word:Int):Void {
		kept = [for (i in 0...100) 'text $i'];
		Check.collect();
		Check.equal("text 99", kept[99]);
		sum += word;
	}

	function testAListenerOnAThreadThatTheCollectorDoesNotKnow() {
		sum = 0;
		untyped __cpp__("native_tests_on_unknown_thread(20)");
		Check.equal(140, sum);
		var attached:Int = untyped __cpp__("hx::GcGetThreadAttachedCount()");
		untyped __cpp__("native_tests_on_unknown_thread(1)");
		Check.equal(attached, untyped __cpp__("hx::GcGetThreadAttachedCount()"));
	}

	function testAListenerOnAThreadThatWaitsInTheFreeZone() {
		sum = 0;
		cpp.vm.Gc.enterGCFreeZone();
		untyped __cpp__("native_tests_dispatch(20)");
		cpp.vm.Gc.exitGCFreeZone(); // ends the program if the listener has not entered it again
		Check.equal(140, sum);
		untyped __cpp__("native_tests_dispatch(1)"); // outside of the zone
		Check.equal(147, sum);
	}

	function testVersionsAndNames() {
		Check.equal("0.1.0", '${Native.ss_version() >> 16}.${Native.ss_version() >> 8 & 255}.${Native.ss_version() & 255}');
		Check.equal("RangeError", Native.ss_status_name(Native.SS_ERR_RANGE).toString());
	}

	function testBadHandlesAreAnswered() {
		Check.equal(Native.SS_ERR_HANDLE, Native.ss_retain(null));
		Check.equal(Native.SS_OK, Native.ss_release(null));
		Check.equal(Native.SS_ERR_HANDLE, Native.ss_bind(null, 0, null));
		var garbage:ServerHandle = untyped __cpp__("reinterpret_cast<ss_server *>(static_cast<intptr_t>(0x1234567))");
		Check.equal(Native.SS_ERR_HANDLE, Native.ss_listen(garbage, 0));
		Check.equal(0, Native.ss_local_port(garbage));
	}

	function testFiguresOfAServer() {
		var server = Native.ss_new(null);
		var stats = NativeStats.create();
		stats.size = NativeStats.SIZE;
		stats.accepted = 5;
		Check.equal(Native.SS_OK, Native.ss_server_stats(server, RawPointer.addressOf(stats)));
		Check.equal("0", Std.string(stats.accepted));
		Check.equal(Native.SS_OK, Native.ss_release(untyped __cpp__("(void *){0}", server)));
	}

	/** A value with parts, and back. **/
	function testValues() {
		var object = Native.ss_value_new(Native.SS_VALUE_OBJECT);
		Check.equal(Native.SS_OK, Native.ss_value_set_string(Native.ss_value_add_property(object, "name"), "Ann"));
		Check.equal("Ann", Native.ss_value_bytes(Native.ss_value_property(object, "name"), null).toString());
		Check.equal(1, Native.ss_value_property_count(object));
		Check.equal(Native.SS_OK, Native.ss_release(untyped __cpp__("(void *){0}", object)));
	}

	/** A static function of Haxe is a listener by itself where no zone was entered. **/
	function testAStaticFunctionIsAListener() {
		calls = 0;
		var server = Native.ss_new(null);
		var target:ObjectHandle = untyped __cpp__("(void *){0}", server);
		Native.ss_add_listener(target, "x", cpp.Function.fromStaticFunction(listen), null, false, 0);
		var event = Native.ss_event_new("x", false, false);
		Native.ss_dispatch_event(target, event, null);
		Check.equal(1, calls);
		Native.ss_release(untyped __cpp__("(void *){0}", event));
		Native.ss_release(target);
	}

	static var calls:Int;

	static function listen(event:EventHandle, userData:RawPointer<cpp.Void>):Void {
		calls++;
		Check.equal("x", Native.ss_event_type(event).toString());
	}
}
#end
