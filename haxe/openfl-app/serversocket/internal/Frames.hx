// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** The frames of OpenFL's application, which pump the sockets instead of `haxe.MainLoop`. **/
class Frames {
	static var haveCome = false;

	/** Whether frames have come since `join`. **/
	public static inline function areRunning():Bool {
		return haveCome;
	}

	#if lime
	static var joined:Null<lime.app.Application>;

	/** Has each frame of the application, if there is one, call `Pump.poll`. **/
	public static function join():Void {
		var application = lime.app.Application.current;
		if (application == null || application == joined)
			return;
		joined = application;
		application.onUpdate.add(_ -> {
			haveCome = true;
			poll();
		});
		application.onExit.add(_ -> poll()); // sends what is still gathered
	}

	static function poll():Void {
		if (Pump.automatic)
			Pump.poll(0);
	}
	#else

	/** OpenFL without Lime has no frames. **/
	public static inline function join():Void {}
	#end
}
