// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** A whole message has arrived, see XMLSocket. **/
class DataEvent extends TextEvent {
	public static inline var DATA:EventType<DataEvent> = "data";

	/** The message. **/
	public var data:String;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, data:String = "") {
		super(type, bubbles, cancelable, data);
		this.data = data;
	}

	override public function clone():Event {
		return new DataEvent(type, bubbles, cancelable, data);
	}

	override public function toString():String {
		return formatToString("DataEvent", "type", "bubbles", "cancelable", "eventPhase", "data");
	}
}
