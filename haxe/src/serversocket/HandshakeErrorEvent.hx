// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** A secure ServerSocket has turned a client away, since their handshake has failed. `text` says who it was, and why. **/
class HandshakeErrorEvent extends ErrorEvent {
	public static inline var HANDSHAKE_ERROR:EventType<HandshakeErrorEvent> = "handshakeError";

	/** The operating system's number of the error, 0 if it had none. **/
	public var osError(default, null):Int;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "", id:Int = 0, osError:Int = 0) {
		super(type, bubbles, cancelable, text, id);
		this.osError = osError;
	}

	override public function clone():HandshakeErrorEvent {
		return new HandshakeErrorEvent(type, bubbles, cancelable, text, errorID, osError);
	}

	override public function toString():String {
		return formatToString("HandshakeErrorEvent", "type", "bubbles", "cancelable", "text", "osError");
	}
}
