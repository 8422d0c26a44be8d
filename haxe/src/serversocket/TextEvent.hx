// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** An event that carries a text. **/
class TextEvent extends Event {
	public var text:String;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false, text:String = "") {
		super(type, bubbles, cancelable);
		this.text = text;
	}

	override public function clone():Event {
		return new TextEvent(type, bubbles, cancelable, text);
	}

	override public function toString():String {
		return __format("TextEvent", ["type", "bubbles", "cancelable", "eventPhase", "text"]);
	}
}
