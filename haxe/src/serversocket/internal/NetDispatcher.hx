package serversocket.internal;

/** What ServerSocket and Socket share: a native object, and the native listeners that feed this one's. **/
class NetDispatcher extends EventDispatcher {
	var __handle:Handle;
	var __key:Int;

	/** The kinds of events that C reports for this object, a bit each. **/
	var __heard:Int;

	/** Those that it reports in any case. **/
	var __always:Int;

	/** What a constructor would do; accepted sockets are made without one. **/
	function __open(handle:Handle):Void {
		__handle = handle;
		__heard = 0;
		__always = 0;
		__key = Home.current().add(this);
	}

	/** Something has happened on the native object. The meaning of the rest depends on `kind`. **/
	@:allow(serversocket.internal)
	function __hear(kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Null<String>):Void {}

	/** Whether it may still get events from the network. **/
	@:allow(serversocket.internal)
	function __isAwaiting():Bool {
		return false;
	}

	override public function addEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false, priority:Int = 0,
			useWeakReference:Bool = false):Void {
		super.addEventListener(type, listener, useCapture, priority, useWeakReference);
		__tune(type);
	}

	override public function removeEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false):Void {
		super.removeEventListener(type, listener, useCapture);
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
		var wanted = __always & bit != 0 || __hasReachable(type);
		if (wanted == (__heard & bit != 0))
			return;
		if (wanted)
			Failure.check(Binding.addListener(__handle, kind, __key));
		else
			Failure.check(Binding.removeListener(__handle, kind, __key));
		__heard ^= bit;
	}
}
