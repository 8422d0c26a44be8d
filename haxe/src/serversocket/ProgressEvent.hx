// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Bytes have arrived. They stay in the socket until they are read. **/
class ProgressEvent extends Event {
	public static inline var PROGRESS:EventType<ProgressEvent> = "progress";
	public static inline var SOCKET_DATA:EventType<ProgressEvent> = "socketData";

	/** How many bytes are new with this event. **/
	public var bytesLoaded:Float;

	/** Not used by sockets: 0. **/
	public var bytesTotal:Float;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, bytesLoaded:Float = 0, bytesTotal:Float = 0) {
		super(type, bubbles, cancelable);
		this.bytesLoaded = bytesLoaded;
		this.bytesTotal = bytesTotal;
	}

	override public function clone():Event {
		return new ProgressEvent(type, bubbles, cancelable, bytesLoaded, bytesTotal);
	}

	override public function toString():String {
		return __format("ProgressEvent", ["type", "bubbles", "cancelable", "eventPhase", "bytesLoaded", "bytesTotal"]);
	}
}
