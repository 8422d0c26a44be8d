// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** What NetDispatcher has to know of EventDispatcher, besides what is public. **/
class Listeners {
	/** Whether a listener is there that a dispatch would call: not one of the capture phase only. **/
	public static inline function hasReachable(dispatcher:EventDispatcher, type:String):Bool {
		return dispatcher.__hasReachable(type);
	}

	/** Takes what an event has thrown, since C is waiting below. **/
	public static inline function caught(dispatcher:EventDispatcher, error:haxe.Exception):Void {
		dispatcher.__report(error);
	}

	/** An error that nobody listens for. **/
	public static inline function unheard(dispatcher:EventDispatcher, error:Error):Void {
		dispatcher.__report(error);
	}

	/** Throws what was caught during a poll that is over: here it has been told already. **/
	public static inline function rethrow():Void {}
}
