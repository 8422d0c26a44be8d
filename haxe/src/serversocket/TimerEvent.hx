// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** A Timer has counted. **/
class TimerEvent extends Event {
	public static inline var TIMER:EventType<TimerEvent> = "timer";
	public static inline var TIMER_COMPLETE:EventType<TimerEvent> = "timerComplete";

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false) {
		super(type, bubbles, cancelable);
	}

	override public function clone():Event {
		return new TimerEvent(type, bubbles, cancelable);
	}

	override public function toString():String {
		return formatToString("TimerEvent", "type", "bubbles", "cancelable", "eventPhase");
	}

	/** For OpenFL's programs: there are no frames here to update. **/
	public function updateAfterEvent():Void {}
}
