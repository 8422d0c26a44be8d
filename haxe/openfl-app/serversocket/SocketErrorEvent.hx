// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What a Socket dispatches as IOErrorEvent. **/
class SocketErrorEvent extends IOErrorEvent {
	/** The operating system's number of the error, 0 if it had none. **/
	public var osError(default, null):Int;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "", id:Int = 0, osError:Int = 0) {
		super(type, bubbles, cancelable, text, id);
		this.osError = osError;
	}

	override public function clone():SocketErrorEvent {
		return new SocketErrorEvent(type, bubbles, cancelable, text, errorID, osError);
	}
}
