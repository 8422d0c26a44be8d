// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Something that happened, on its way to the listeners. **/
class Event {
	/** A client's Socket has been connected. A ServerSocket's is a `ServerSocketConnectEvent`. **/
	public static inline var CONNECT:EventType<Event> = "connect";

	/** A Socket's peer has closed, or the operating system a ServerSocket. Never after an own `close()`. **/
	public static inline var CLOSE:EventType<Event> = "close";

	// Those that a program may dispatch itself. OpenFL's display events are left out: nothing here would ever dispatch them.
	public static inline var CANCEL:EventType<Event> = "cancel";
	public static inline var CHANGE:EventType<Event> = "change";
	public static inline var CLEAR:EventType<Event> = "clear";
	public static inline var CLOSING:EventType<Event> = "closing";
	public static inline var COMPLETE:EventType<Event> = "complete";
	public static inline var EXITING:EventType<Event> = "exiting";
	public static inline var INIT:EventType<Event> = "init";
	public static inline var OPEN:EventType<Event> = "open";
	public static inline var SELECT:EventType<Event> = "select";
	public static inline var UNLOAD:EventType<Event> = "unload";

	public var type(default, null):String;
	public var bubbles(default, null):Bool;
	public var cancelable(default, null):Bool;

	/** The object that it was dispatched to, null before. **/
	public var target(default, null):Dynamic;

	/** The same as `target`, since sockets have no parents. **/
	public var currentTarget(default, null):Dynamic;

	public var eventPhase(default, null):EventPhase;

	@:allow(serversocket.EventDispatcher) var __stopped:Bool;
	var __prevented:Bool;

	public function new(type:String, bubbles:Bool = false, cancelable:Bool = false) {
		this.type = type;
		this.bubbles = bubbles;
		this.cancelable = cancelable;
		eventPhase = EventPhase.AT_TARGET;
		__stopped = false;
		__prevented = false;
	}

	/** The same event, as before any dispatch. Subclasses override it, or dispatching them twice loses their class. **/
	public function clone():Event {
		return new Event(type, bubbles, cancelable);
	}

	public function preventDefault():Void {
		if (cancelable)
			__prevented = true;
	}

	public function isDefaultPrevented():Bool {
		return __prevented;
	}

	/** Without effect, since sockets have no parents: the other listeners of the target run. **/
	public function stopPropagation():Void {}

	/** The listeners that have not run yet do not run. **/
	public function stopImmediatePropagation():Void {
		__stopped = true;
	}

	/** A text for `toString` of a subclass: its name, and these of its properties with their values. **/
	public function formatToString(className:String, p1:String = null, p2:String = null, p3:String = null, p4:String = null,
			p5:String = null):String {
		return __format(className, [p1, p2, p3, p4, p5].filter(property -> property != null));
	}

	public function toString():String {
		return __format("Event", ["type", "bubbles", "cancelable", "eventPhase"]);
	}

	function __format(className:String, properties:Array<String>):String {
		var text = new StringBuf();
		text.add('[$className');
		for (property in properties) {
			var value:Dynamic = Reflect.getProperty(this, property);
			text.add(Std.isOfType(value, String) ? ' $property="$value"' : ' $property=$value');
		}
		text.add("]");
		return text.toString();
	}

	@:allow(serversocket.EventDispatcher)
	function __begin(dispatcher:IEventDispatcher):Void {
		target = dispatcher;
		currentTarget = dispatcher;
	}
}
