// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import sys.thread.Tls;

/**
	What belongs to one thread: the sockets and servers that live on its loop, by the keys under which C knows them.

	A key is a number that is never used again, not an address: the collector moves objects, and an event for one that is
	gone finds nothing. An object that is open is held here, as in OpenFL. Others are held weakly. With
	`-D server-socket-collect` all are: as AIR says, one that the program does not hold can be collected, and is closed then.
**/
#if cpp
@:cppFileCode('
/* That of this thread while it polls. The function that polls holds it. */
static thread_local ::serversocket::internal::Home_obj *serversocket_home = 0;
')
#end
class Home {
	static final homes = new Tls<Home>();

	/** How many dispatches are running, one inside the other. **/
	public var depth:Int = 0;

	final objects = new Map<Int, Weak<NetDispatcher>>();

	/** Those that may get events from the network. On hxcpp a map of objects of some class asks each one for it. **/
	final open = new Map<Int, Dynamic>();

	/** What is to be called when a timer is due, of those that run: they are held, as in AIR. **/
	final ticking = new Map<Int, () -> Void>();

	#if !server_socket_collect
	/** Of those in `open`, each at its key modulo `NEAR`, as far as there is room: found without the map. **/
	final near:Array<Null<NetDispatcher>> = [];

	static inline final NEAR = 1024;
	#end

	/** How many `open` and `ticking` hold: a map's iterator would list them all. **/
	var openCount = 0;

	var tickingCount = 0;
	var nextKey = 0;
	var count = 0;
	var sweepAt = 64;

	function new() {}

	public static function current():Home {
		#if cpp
		var here:Home = untyped __cpp__("serversocket_home");
		if (here != null)
			return here;
		#end
		return ofThread();
	}

	/** By itself, since what allocates asks hxcpp for the thread first. **/
	static function ofThread():Home {
		var home = homes.value;
		if (home == null)
			homes.value = home = new Home();
		return home;
	}

	#if cpp
	/** From now on, until `leave`, `current` need not ask. Returns whether it was so before; the caller keeps this object meanwhile. **/
	public function arrive():Bool {
		var isNested:Bool = untyped __cpp__("serversocket_home != 0");
		untyped __cpp__("serversocket_home = {0}.mPtr", this);
		return isNested;
	}

	public function leave(isNested:Bool):Void {
		if (!isNested)
			untyped __cpp__("serversocket_home = 0");
	}
	#end

	/** Returns the object's key. **/
	public function add(object:NetDispatcher):Int {
		if (count >= sweepAt)
			sweep();
		count++;
		objects.set(nextKey, new Weak(object));
		return nextKey++;
	}

	public function find(key:Int):Null<NetDispatcher> {
		#if !server_socket_collect
		var object = foundNear(key);
		if (object != null)
			return object;
		#end
		var held = open.get(key);
		if (held != null)
			return #if cpp untyped __cpp__("{0}.StaticCast< ::serversocket::internal::NetDispatcher >()", held) #else held #end;
		var weak = objects.get(key);
		return weak == null ? null : weak.get();
	}

	/** From now on, until `drop`, it may get events from the network. **/
	public function hold(key:Int, object:NetDispatcher):Void {
		if (!open.exists(key))
			openCount++;
		#if server_socket_collect
		open.set(key, null);
		#else
		open.set(key, object);
		near[key & (NEAR - 1)] = object;
		#end
	}

	public function drop(key:Int):Void {
		if (open.remove(key))
			openCount--;
		#if !server_socket_collect
		if (foundNear(key) != null)
			near[key & (NEAR - 1)] = null;
		#end
	}

	#if !server_socket_collect
	inline function foundNear(key:Int):Null<NetDispatcher> {
		var object = near[key & (NEAR - 1)];
		return object != null && object.__key == key ? object : null;
	}
	#end

	/** A key for a timer of C's, as those of `add`. **/
	public function newKey():Int {
		return nextKey++;
	}

	/** From now on, until `endTicking`, `tick` calls it. **/
	public function beginTicking(key:Int, call:() -> Void):Void {
		if (!ticking.exists(key))
			tickingCount++;
		ticking.set(key, call);
	}

	public function endTicking(key:Int):Void {
		if (ticking.remove(key))
			tickingCount--;
	}

	/** A timer of C's is due. **/
	public function tick(key:Int):Void {
		var call = ticking.get(key);
		if (call != null)
			call();
	}

	/** Whether an object may still get events from the network, or a timer runs. **/
	public function isAwaiting():Bool {
		if (tickingCount > 0)
			return true;
		#if server_socket_collect
		for (key in open.keys())
			if (find(key) != null)
				return true;
		if (openCount > 0)
			hint();
		return false;
		#else
		return openCount > 0;
		#end
	}

	#if server_socket_collect
	function hint():Void {
		open.clear();
		openCount = 0;
		Sys.stderr().writeString("server-socket: HINT: sockets or servers that were open have been collected, and closed, since the program holds no "
			+ "reference to them. Keep one in a field, or compile without -D server-socket-collect.\n");
	}
	#end

	/** Forgets what has been collected. Its cost is spread over the additions that made it necessary. **/
	function sweep():Void {
		for (key in [for (key => weak in objects) if (weak.get() == null) key]) {
			objects.remove(key);
			count--;
		}
		sweepAt = count < 32 ? 64 : count * 2;
	}
}
