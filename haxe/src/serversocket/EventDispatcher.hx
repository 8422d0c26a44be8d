// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Errors;
import serversocket.internal.Home;

/** AIR's EventDispatcher. **/
class EventDispatcher implements IEventDispatcher {
	/**
		Takes what a listener threw, and `ioError` events that nobody listens for (Error 2044). The other listeners run all
		the same. Prints to stderr, unless it is replaced.
	**/
	public static dynamic function uncaught(error:haxe.Exception):Void {
		Sys.stderr().writeString(error.details() + "\n");
	}

	/** How deep dispatches may be nested: the next one is Error 2094. **/
	static inline final MAX_DEPTH = 256;

	/** One for each type that has listeners; there are few. **/
	var __listeners:Null<Array<Listeners>>;

	var __target:Null<IEventDispatcher>;

	/** With a `target`, events say that they were dispatched by that object. **/
	public function new(target:IEventDispatcher = null) {
		__target = target;
	}

	/**
		Higher priorities run first, equal ones in the order of registration; the same function for the same type and phase
		is registered once. `useWeakReference` is accepted and ignored, as in OpenFL: the listener is held.
	**/
	public function addEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false, priority:Int = 0,
			useWeakReference:Bool = false):Void {
		if (type == null)
			throw new TypeError("Parameter type must be non-null.", 2007);
		if (listener == null)
			throw new TypeError("Parameter listener must be non-null.", 2007);
		var old = __list(type);
		if (old == null)
			old = [];
		if (__find(old, listener, useCapture) >= 0)
			return;
		var list = old.copy();
		var place = list.length;
		while (place > 0 && list[place - 1].priority < priority)
			place--;
		list.insert(place, new Registration(cast listener, useCapture, priority));
		__setList(type, list);
	}

	/** From its return on the listener is not called any more, not even by a dispatch that is under way. **/
	public function removeEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false):Void {
		var old = __list(type);
		var place = old == null ? -1 : __find(old, listener, useCapture);
		if (place < 0)
			return;
		old[place].removed = true;
		var list = old.copy();
		list.splice(place, 1);
		__setList(type, list);
	}

	public function hasEventListener(type:String):Bool {
		return __list(type) != null;
	}

	public function willTrigger(type:String):Bool {
		return hasEventListener(type);
	}

	/**
		Calls the listeners of the event's type, now. Returns false if one of them prevented the default of a cancelable event.
		An event that was delivered before is cloned. What a listener throws goes to `uncaught`.
	**/
	public function dispatchEvent(event:Event):Bool {
		if (event == null)
			throw Errors.isNull("event");
		var list = __list(event.type);
		if (list == null)
			return true;
		if (event.target != null) {
			event = event.clone();
			if (event == null)
				throw Errors.isNull("event");
		}
		var home = Home.current();
		if (home.depth >= MAX_DEPTH)
			throw Errors.of(1, "Event dispatch recursion overflow.", 2094);
		home.depth++;
		event.__begin(__target != null ? __target : this);
		for (registration in list) {
			if (registration.removed || registration.useCapture)
				continue;
			try {
				registration.listener(event);
			} catch (error:haxe.Exception) {
				__report(error);
			}
			if (event.__stopped)
				break;
		}
		home.depth--;
		return !event.isDefaultPrevented();
	}

	public function toString():String {
		var name = Type.getClassName(Type.getClass(this));
		return '[object ${name.split(".").pop()}]';
	}

	/** Hands an error to `uncaught`, whose own errors must not get further: C is waiting below. **/
	@:allow(serversocket.internal)
	function __report(error:haxe.Exception):Void {
		try {
			uncaught(error);
		} catch (second:haxe.Exception) {
			Sys.stderr().writeString('${second.details()}\nwhile it was told of: ${error.details()}\n');
		}
	}

	function __list(type:String):Null<Array<Registration>> {
		if (__listeners != null)
			for (listeners in __listeners)
				if (listeners.type == type)
					return listeners.list;
		return null;
	}

	/** An empty one goes. **/
	function __setList(type:String, list:Array<Registration>):Void {
		if (__listeners == null)
			__listeners = [];
		for (listeners in __listeners)
			if (listeners.type == type) {
				if (list.length == 0)
					__listeners.remove(listeners);
				else
					listeners.list = list;
				return;
			}
		__listeners.push(new Listeners(type, list));
	}

	/** Whether a listener is there that a dispatch would call. **/
	@:allow(serversocket.internal)
	function __hasReachable(type:String):Bool {
		var list = __list(type);
		return list != null && Lambda.exists(list, registration -> !registration.useCapture);
	}

	function __find(list:Array<Registration>, listener:Dynamic, useCapture:Bool):Int {
		for (place in 0...list.length)
			if (list[place].useCapture == useCapture && Reflect.compareMethods(list[place].listener, listener))
				return place;
		return -1;
	}
}

private class Listeners {
	public final type:String;

	/** Never changed in place, so that a dispatch can walk the one that it has begun with. **/
	public var list:Array<Registration>;

	public function new(type:String, list:Array<Registration>) {
		this.type = type;
		this.list = list;
	}
}

private class Registration {
	public final listener:Dynamic->Void;
	public final useCapture:Bool;
	public final priority:Int;
	public var removed:Bool = false;

	public function new(listener:Dynamic->Void, useCapture:Bool, priority:Int) {
		this.listener = listener;
		this.useCapture = useCapture;
		this.priority = priority;
	}
}
