// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import sys.thread.Tls;

/** What NetDispatcher has to know of OpenFL's EventDispatcher, which lets the error of a listener fly. **/
@:access(openfl.events.EventDispatcher)
class Listeners {
	/** What was caught on this thread, and not thrown yet. **/
	static final errors = new Tls<Array<haxe.Exception>>();

	/** Whether a listener is there that a dispatch would call: not one of the capture phase only. **/
	public static function hasReachable(dispatcher:EventDispatcher, type:String):Bool {
		var list = dispatcher.__eventMap == null ? null : dispatcher.__eventMap.get(type);
		return list != null && Lambda.exists(list, listener -> !listener.useCapture);
	}

	/** Takes what an event has thrown, since C is waiting below. **/
	public static function caught(dispatcher:EventDispatcher, error:haxe.Exception):Void {
		if (errors.value == null)
			errors.value = [];
		errors.value.push(error);
	}

	/** An error that nobody listens for: it does not stop the program. **/
	public static function unheard(dispatcher:EventDispatcher, error:Error):Void {
		Sys.stderr().writeString('Error #${error.errorID}: ${error.message}\n');
	}

	/** Throws what was caught during a poll that is over: one error for each poll. **/
	public static function rethrow():Void {
		var list = errors.value;
		if (list != null && list.length > 0)
			throw list.shift();
	}
}
