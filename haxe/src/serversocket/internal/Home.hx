package serversocket.internal;

import sys.thread.Tls;

/**
	What belongs to one thread: the sockets and servers that live on its loop, by the keys under which C knows them.

	A key is a number that is never used again, not an address: the collector moves objects, and an event for one that is
	gone finds nothing. Objects are held weakly, so that one which the program has dropped can be collected, and closed.
**/
class Home {
	static final homes = new Tls<Home>();

	/** How many dispatches are running, one inside the other. **/
	public var depth:Int = 0;

	final objects = new Map<Int, Weak<NetDispatcher>>();
	var nextKey = 0;
	var count = 0;
	var sweepAt = 64;

	function new() {}

	public static function current():Home {
		var home = homes.value;
		if (home == null)
			homes.value = home = new Home();
		return home;
	}

	/** Returns the object's key. **/
	public function add(object:NetDispatcher):Int {
		if (count >= sweepAt)
			sweep();
		count++;
		objects.set(nextKey, new Weak(object));
		return nextKey++;
	}

	public function find(key:Int):Null<NetDispatcher> {
		var weak = objects.get(key);
		return weak == null ? null : weak.get();
	}

	/** Whether an object may still get events from the network. **/
	public function isAwaiting():Bool {
		for (weak in objects) {
			var object = weak.get();
			if (object != null && object.__isAwaiting())
				return true;
		}
		return false;
	}

	/** Forgets what has been collected. Its cost is spread over the additions that made it necessary. **/
	function sweep():Void {
		for (key in [for (key => weak in objects) if (weak.get() == null) key]) {
			objects.remove(key);
			count--;
		}
		sweepAt = count < 32 ? 64 : count * 2;
	}
}
