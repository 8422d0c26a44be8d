package serversocket.internal;

/** Turns statuses into AIR's errors. **/
class Failure {
	public static inline function check(status:Int):Void {
		if (status != 0)
			raise(status);
	}

	/** Throws this thread's last failure. **/
	public static function raise(status:Int):Void {
		var message = Binding.lastErrorMessage();
		var id = Binding.lastErrorId();
		var error = switch (status) {
			case 2: new ArgumentError(message, id);
			case 3: new RangeError(message, id);
			case 4 | FULL: new IOError(message, id);
			case 5: new EOFError(message, id);
			case 6: new SecurityError(message, id);
			case 7: new TypeError(message, id);
			case _: new Error(message, id);
		}
		@:privateAccess error.detail = Binding.lastErrorDetail();
		@:privateAccess error.osError = Binding.lastOsError();
		throw error;
	}

	/** Throws the failure of a constructor, which has no status to return: of those AIR counts, only IOError is possible. **/
	public static function raiseOfConstructor():Void {
		raise(Binding.lastErrorId() == 2002 ? 4 : 1);
	}

	/** `SS_ERR_FULL`, a write past the limit: AIR has no limit, and no class for it. **/
	static inline final FULL = 23;
}
