// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Written bytes have been handed to the network. **/
class OutputProgressEvent extends Event {
	public static inline var OUTPUT_PROGRESS:EventType<OutputProgressEvent> = "outputProgress";

	/** How many written bytes still wait. **/
	public var bytesPending:Float;

	/** How many bytes were written since the socket was connected, waiting ones included. **/
	public var bytesTotal:Float;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, bytesPending:Float = 0, bytesTotal:Float = 0) {
		super(type, bubbles, cancelable);
		this.bytesPending = bytesPending;
		this.bytesTotal = bytesTotal;
	}

	override public function clone():Event {
		return new OutputProgressEvent(type, bubbles, cancelable, bytesPending, bytesTotal);
	}

	override public function toString():String {
		return formatToString("OutputProgressEvent", "type", "bubbles", "cancelable", "bytesPending", "bytesTotal");
	}
}
