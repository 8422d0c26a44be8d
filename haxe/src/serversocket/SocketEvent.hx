// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What a Socket tells besides AIR's events. **/
class SocketEvent extends Event {
	/**
		The peer has ended its side, after all that it sent, and writing goes on: only with `SocketOption.HALF_OPEN`. `Event.CLOSE`
		follows when our side has ended, too: see `Socket.shutdown`.
	**/
	public static inline var END:EventType<SocketEvent> = "end";

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false) {
		super(type, bubbles, cancelable);
	}

	override public function clone():SocketEvent {
		return new SocketEvent(type, bubbles, cancelable);
	}

	override public function toString():String {
		return formatToString("SocketEvent", "type", "bubbles", "cancelable", "eventPhase");
	}
}
