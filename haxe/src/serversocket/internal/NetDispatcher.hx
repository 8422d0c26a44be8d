// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** What ServerSocket and Socket share: a native object, and the native listeners that feed this one's. **/
#if !macro @:build(serversocket.internal.Build.checkWay()) #end
class NetDispatcher extends EventDispatcher {
	var __handle:Handle;
	var __home:Home;

	@:allow(serversocket.internal.Home)
	var __key:Int;

	/** The kinds of events that C reports for this object, a bit each. **/
	var __heard:Int;

	/** Those that it reports in any case. **/
	var __always:Int;

	function new() {
		super();
		prepare();
	}

	/**
		A program may make one as the initial value of a static variable. Before that, Haxe initializes the statics that the
		constructor mentions, by itself or through static functions; so it mentions those that all the rest needs.
	**/
	static function prepare():Void {
		Home.current();
		Pump.automatic;
		Text.hasNul("");
	}

	/** What a constructor would do; accepted sockets are made without one. **/
	function __open(handle:Handle):Void {
		__handle = handle;
		__heard = 0;
		__always = 0;
		__home = Home.current();
		__key = __home.add(this);
	}

	/** Something has happened on the native object. Nothing is thrown through C. **/
	@:allow(serversocket.internal)
	inline function __tell(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {
		try {
			__hear(kind, first, second, accepted, text);
		} catch (error:haxe.Exception) {
			Listeners.caught(this, error);
		}
	}

	/** What is to be done about it. The meaning of the rest depends on `kind`. **/
	function __hear(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {}

	/** From now on it may get events from the network. **/
	function __hold():Void {
		__hearAlways(Event.CLOSE);
		__home.hold(__key, this);
	}

	function __drop():Void {
		__home.drop(__key);
	}

	override public function addEventListener<T>(type:EventType<T>, listener:Listener<T>, useCapture:Bool = false, priority:Int = 0,
			useWeakReference:Bool = false):Void {
		super.addEventListener(type, listener.plain(), useCapture, priority, useWeakReference);
		__tune(type);
	}

	override public function removeEventListener<T>(type:EventType<T>, listener:Listener<T>, useCapture:Bool = false):Void {
		super.removeEventListener(type, listener.plain(), useCapture);
		__tune(type);
	}

	/** From now on, events of this kind are reported even if no listener is there. **/
	function __hearAlways(type:String):Void {
		__always |= 1 << EventKind.of(type);
		__tune(type);
	}

	/**
		One native listener while there is any here. A server accepts only while somebody listens for "connect": those in the
		capture phase, which are never called, do not count.
	**/
	function __tune(type:String):Void {
		var kind = EventKind.of(type);
		if (kind == OTHER)
			return;
		var bit = 1 << kind;
		var wanted = __always & bit != 0 || Listeners.hasReachable(this, type);
		if (wanted == (__heard & bit != 0))
			return;
		if (wanted)
			Failure.check(Binding.addListener(__handle, kind, __key));
		else
			Failure.check(Binding.removeListener(__handle, kind, __key));
		__heard ^= bit;
	}
}

/**
	A listener for events of class T; or for ServerSocketConnectEvent, which is what a server dispatches also to those who
	registered with `Event.CONNECT`, the name of a client's event.
**/
abstract Listener<T>(T->Void) from T->Void {
	@:from static inline function ofConnect<T>(listener:ServerSocketConnectEvent->Void):Listener<T> {
		return cast listener;
	}

	public inline function plain():T->Void {
		return this;
	}
}
