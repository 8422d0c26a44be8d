// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** Turns statuses into AIR's errors. **/
class Failure {
	public static inline function check(status:Int):Void {
		if (status != 0)
			raise(status);
	}

	/** Throws this thread's last failure. **/
	public static function raise(status:Int):Void {
		var error = Errors.of(status, Calls.lastErrorMessage(), Calls.lastErrorId());
		ErrorDetail.set(error, Calls.lastErrorDetail(), Calls.lastOsError());
		throw error;
	}

	/** Throws the failure of a constructor, which has no status to return: of those AIR counts, only IOError is possible. **/
	public static function raiseOfConstructor():Void {
		raise(Calls.lastErrorId() == 2002 ? 4 : 1);
	}
}
