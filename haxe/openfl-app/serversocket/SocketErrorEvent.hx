// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What a Socket dispatches as IOErrorEvent. **/
class SocketErrorEvent extends IOErrorEvent {
	/** The operating system's number of the error, 0 if it had none. **/
	public var osError(default, null):Int;

	/** With whom what was attempted, and what the system said to it, for people to read. **/
	public var detail(default, null):String;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "", id:Int = 0, osError:Int = 0, detail:String = "") {
		super(type, bubbles, cancelable, text, id);
		this.osError = osError;
		this.detail = detail;
	}

	override public function clone():SocketErrorEvent {
		return new SocketErrorEvent(type, bubbles, cancelable, text, errorID, osError, detail);
	}
}
