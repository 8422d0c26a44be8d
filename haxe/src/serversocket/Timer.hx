// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Binding;
import serversocket.internal.Calls;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.Home;
import serversocket.internal.Listeners;

/**
	AIR's Timer: it dispatches `TimerEvent.TIMER` every `delay` milliseconds.

	The loop that has the sockets has the timers, too: they count inside of `Pump.poll`, on any thread, between the events of
	the sockets. While it runs it is held, and the program does not end. It belongs to the thread that has started it first. A
	time for which the thread was too busy is not made up for.
**/
class Timer extends EventDispatcher {
	/** How often it has counted since `reset`. **/
	public var currentCount(default, null):Int = 0;

	/** Milliseconds, 1 at least. When it is set while it runs, the time begins anew. **/
	public var delay(get, set):Float;

	/** After how many times it stops, with `TimerEvent.TIMER_COMPLETE`; 0 = never. **/
	public var repeatCount(get, set):Int;

	public var running(default, null):Bool = false;

	static inline final LONGEST = 2147483647;

	var __delay:Float;
	var __repeatCount:Int;

	/** That of C, from the first `start` on, and what has it call back. **/
	var __handle:Null<Handle>;

	var __home:Home;
	var __key:Int;

	/** Throws RangeError: the delay is negative, or no finite number. **/
	public function new(delay:Float, repeatCount:Int = 0) {
		super();
		__delay = checked(delay);
		__repeatCount = repeatCount;
	}

	/** Throws Error: it is another thread's. **/
	public function start():Void {
		if (running)
			return;
		begin();
		__home.beginTicking(__key, count);
		running = true;
		Pump.start();
	}

	public function stop():Void {
		if (!running)
			return;
		Failure.check(Calls.timerStop(__handle));
		__home.endTicking(__key);
		running = false;
	}

	/** Stops it, and begins to count at 0. **/
	public function reset():Void {
		stop();
		currentCount = 0;
	}

	function begin():Void {
		var period = __delay < 1 ? 1 : __delay > LONGEST ? LONGEST : Std.int(__delay);
		if (__handle != null) {
			Failure.check(Calls.timerSet(__handle, period, period));
			return;
		}
		__home = Home.current();
		__key = __home.newKey();
		__handle = Binding.newTimer(period, period, __key);
	}

	/** C is waiting below: nothing is thrown through it. **/
	function count():Void {
		try {
			tell();
		} catch (error:haxe.Exception) {
			Listeners.caught(this, error);
		}
	}

	function tell():Void {
		currentCount++;
		var isLast = __repeatCount > 0 && currentCount >= __repeatCount;
		if (isLast)
			stop();
		dispatchEvent(new TimerEvent(TimerEvent.TIMER));
		if (isLast)
			dispatchEvent(new TimerEvent(TimerEvent.TIMER_COMPLETE));
	}

	static function checked(delay:Float):Float {
		if (!(delay >= 0) || !Math.isFinite(delay))
			throw new RangeError("The Timer delay specified is out of range.", 2066);
		return delay;
	}

	function get_delay():Float {
		return __delay;
	}

	function set_delay(value:Float):Float {
		__delay = checked(value);
		if (running)
			begin();
		return value;
	}

	function get_repeatCount():Int {
		return __repeatCount;
	}

	function set_repeatCount(value:Int):Int {
		__repeatCount = value;
		if (running && value > 0 && currentCount >= value)
			stop();
		return value;
	}
}
