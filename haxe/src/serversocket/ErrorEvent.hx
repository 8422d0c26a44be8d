// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Something went wrong while nobody was waiting for a result. **/
class ErrorEvent extends TextEvent {
	public static inline var ERROR:EventType<ErrorEvent> = "error";

	/** AIR's number of the error. **/
	public var errorID(default, null):Int;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "", id:Int = 0) {
		super(type, bubbles, cancelable, text);
		errorID = id;
	}

	override public function clone():Event {
		return new ErrorEvent(type, bubbles, cancelable, text, errorID);
	}

	override public function toString():String {
		return __format("ErrorEvent", ["type", "bubbles", "cancelable", "eventPhase", "text"]);
	}
}
