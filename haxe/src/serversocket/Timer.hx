// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's Timer, over `haxe.Timer`: it dispatches `TimerEvent.TIMER` every `delay` milliseconds. **/
class Timer extends EventDispatcher {
	/** How often it has counted since `reset`. **/
	public var currentCount(default, null):Int = 0;

	/** Milliseconds. When it is set, the time begins anew. **/
	public var delay(get, set):Float;

	/** After how many times it stops, with `TimerEvent.TIMER_COMPLETE`; 0 = never. **/
	public var repeatCount(get, set):Int;

	public var running(get, never):Bool;

	var __delay:Float;
	var __repeatCount:Int;
	var __timer:Null<haxe.Timer>;

	/** Throws RangeError: the delay is negative, or no number. **/
	public function new(delay:Float, repeatCount:Int = 0) {
		super();
		__delay = checked(delay);
		__repeatCount = repeatCount;
	}

	public function start():Void {
		if (__timer != null)
			return;
		__timer = new haxe.Timer(__delay < 1 ? 1 : Std.int(__delay));
		__timer.run = count;
	}

	public function stop():Void {
		if (__timer != null)
			__timer.stop();
		__timer = null;
	}

	/** Stops it, and begins to count at 0. **/
	public function reset():Void {
		stop();
		currentCount = 0;
	}

	function count():Void {
		currentCount++;
		var isLast = __repeatCount > 0 && currentCount >= __repeatCount;
		if (isLast)
			stop();
		dispatchEvent(new TimerEvent(TimerEvent.TIMER));
		if (isLast)
			dispatchEvent(new TimerEvent(TimerEvent.TIMER_COMPLETE));
	}

	static function checked(delay:Float):Float {
		if (!(delay >= 0))
			throw new RangeError("The Timer delay specified is out of range.", 2066);
		return delay;
	}

	function get_delay():Float {
		return __delay;
	}

	function set_delay(value:Float):Float {
		__delay = checked(value);
		if (running) {
			stop();
			start();
		}
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

	function get_running():Bool {
		return __timer != null;
	}
}
