// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** Frames of an application that pump the sockets instead of `haxe.MainLoop`. There are none without OpenFL. **/
class Frames {
	/** Whether frames have come since `join`. **/
	public static inline function areRunning():Bool {
		return false;
	}

	/** Has each frame of the application, if there is one, call `Pump.poll`. **/
	public static inline function join():Void {}
}
