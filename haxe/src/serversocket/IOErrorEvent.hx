// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** A Socket could not connect, or lost what it still had to send. **/
class IOErrorEvent extends ErrorEvent {
	public static inline var IO_ERROR:EventType<IOErrorEvent> = "ioError";

	/** The operating system's number of the error, 0 if it had none. **/
	public var osError(default, null):Int;

	/** With whom what was attempted, and what the system said to it, for people to read. **/
	public var detail(default, null):String;

	public function new(type:String, bubbles:Bool = true, cancelable:Bool = false, text:String = "", id:Int = 0, osError:Int = 0, detail:String = "") {
		super(type, bubbles, cancelable, text, id);
		this.osError = osError;
		this.detail = detail;
	}

	override public function clone():Event {
		return new IOErrorEvent(type, bubbles, cancelable, text, errorID, osError, detail);
	}

	override public function toString():String {
		return __format("IOErrorEvent", ["type", "bubbles", "cancelable", "eventPhase", "text"]);
	}
}
