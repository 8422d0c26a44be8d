package serversocket;

import haxe.MainLoop;
import serversocket.internal.Binding;
import serversocket.internal.Failure;
import serversocket.internal.Home;
import sys.thread.Thread;

/**
	What makes events happen. Listeners run only in here.

	On the main thread `haxe.MainLoop` pumps, from the first `listen` or `connect` on and as long as something can still
	come, and the program ends after that. A program with frames of its own sets `automatic` to false and calls `poll` in
	every frame. Another thread calls `run`, or `poll` in a loop of its own.
**/
class Pump {
	/** Whether the main thread's sockets are pumped by `haxe.MainLoop`. Set it before the first of them. **/
	public static var automatic:Bool = true;

	/**
		For how long, in seconds, `haxe.MainLoop` may be held up by waiting for the network: timers and calls from other
		threads are late by so much at most. The network itself is never late.
	**/
	public static var patience:Float = 0.01;

	static final mainThread = Thread.current();
	static var event:Null<MainEvent>;

	/**
		One turn for the sockets of this thread: waits until something happens, at most `timeout` milliseconds (negative:
		without end), then calls the listeners. Returns how many events there were. Throws Error inside a listener.
	**/
	public static function poll(timeout:Int = 0):Int {
		return Binding.poll(timeout);
	}

	/**
		Turns until `stop`, or until nothing can ever happen again: no server listens, no socket is connected or
		connecting, and all that closed ones had to send is sent.
	**/
	public static function run():Void {
		Failure.check(Binding.run());
	}

	/** Makes this thread's `run` return. **/
	public static function stop():Void {
		Failure.check(Binding.stop());
	}

	/** From now on something may happen. **/
	@:allow(serversocket)
	static function start():Void {
		if (automatic && event == null && Thread.current() == mainThread)
			event = MainLoop.add(turns);
	}

	/** Called by `haxe.MainLoop` over and over: turns as long as they are busy, but gives others their time. **/
	static function turns():Void {
		var end = haxe.Timer.stamp() + patience;
		var left = patience;
		while (poll(Math.ceil(left * 1000)) > 0) {
			left = end - haxe.Timer.stamp();
			if (left <= 0)
				return;
		}
		if (!Home.current().isAwaiting())
			finish();
	}

	static function finish():Void {
		event.stop();
		event = null;
		if (!MainLoop.hasEvents())
			run(); // what closed sockets have still to send
	}
}
