// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import haxe.MainLoop;
import serversocket.internal.Binding;
import serversocket.internal.Failure;
import serversocket.internal.Frames;
import serversocket.internal.Home;
import serversocket.internal.Listeners;
import sys.thread.Thread;

/**
	What makes events happen. Listeners run only in here.

	In an OpenFL application every frame does it, without waiting. Else, on the main thread, `haxe.MainLoop` pumps, from the
	first `listen` or `connect` on and as long as something can still come, and the program ends after that. A program with
	frames of its own sets `automatic` to false and calls `poll` in every frame. Another thread calls `run`, or `poll` in a loop
	of its own.
**/
class Pump {
	/** Whether the main thread's sockets are pumped by themselves. Set it before the first of them. **/
	public static var automatic:Bool = true;

	/**
		For how long, in seconds, `haxe.MainLoop` may be held up by waiting for the network: timers and calls from other
		threads are late by so much at most. The network itself is never late.
	**/
	public static var patience:Float = 0.01;

	static final mainThread = Thread.current();
	static var event:Null<MainEvent>;

	/** When `turns` has ended last. **/
	static var lastTurns = -1.0;

	/** In seconds. **/
	static inline final AT_ONCE = 0.0005;

	/**
		One turn for the sockets of this thread: waits until something happens, at most `timeout` milliseconds (negative:
		without end), then calls the listeners. Returns how many events there were. Throws Error inside a listener.

		In an OpenFL application it also throws, when the turn is over, the first error of a listener; each further one has
		its own poll.
	**/
	public static function poll(timeout:Int = 0):Int {
		var count = Binding.poll(timeout);
		Listeners.rethrow();
		return count;
	}

	/**
		Turns until `stop`, or until nothing can ever happen again: no server listens, no socket is connected or
		connecting, and all that closed ones had to send is sent.
	**/
	public static function run():Void {
		Failure.check(Binding.run());
		Listeners.rethrow();
	}

	/** Makes this thread's `run` return. **/
	public static function stop():Void {
		Failure.check(Binding.stop());
	}

	/** From now on something may happen. **/
	@:allow(serversocket)
	static function start():Void {
		if (!automatic || event != null || Thread.current() != mainThread)
			return;
		Frames.join();
		if (!Frames.areRunning())
			event = MainLoop.add(turns);
	}

	/**
		Called by `haxe.MainLoop` over and over: turns as long as they are busy, but gives others their time. It waits only if
		it is called again at once. Else the program does something in between, such as drawing frames, and waits there.
	**/
	static function turns():Void {
		Frames.join();
		if (Frames.areRunning()) {
			event.stop();
			event = null;
			return;
		}
		var start = haxe.Timer.stamp();
		var waits = start - lastTurns < AT_ONCE;
		var left = patience;
		while (left > 0 && poll(waits ? Math.ceil(left * 1000) : 0) > 0)
			left = start + patience - haxe.Timer.stamp();
		lastTurns = haxe.Timer.stamp();
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
