// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Never dispatched here: nothing forbids a program to connect. It is for programs that listen for it. **/
class SecurityErrorEvent extends ErrorEvent {
	public static inline var SECURITY_ERROR:EventType<SecurityErrorEvent> = "securityError";

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "", id:Int = 0) {
		super(type, bubbles, cancelable, text, id);
	}

	override public function clone():Event {
		return new SecurityErrorEvent(type, bubbles, cancelable, text, errorID);
	}

	override public function toString():String {
		return __format("SecurityErrorEvent", ["type", "bubbles", "cancelable", "eventPhase", "text"]);
	}
}
