// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/**
	Makes AIR's errors. Those of OpenFL take no number in their constructors, and no detail.
**/
class Errors {
	/** The error that a status of C stands for. `SS_ERR_FULL`, a write past the limit, is an IOError: AIR has no limit. **/
	public static function of(status:Int, message:String, id:Int):Error {
		var error:Error = switch (status) {
			case 2: new ArgumentError(message);
			case 3: new RangeError(message);
			case 4 | 23: new IOError(message);
			case 5: new EOFError(message);
			case 6: new SecurityError(message);
			case 7: new TypeError(message);
			case _: new Error(message);
		}
		@:privateAccess error.errorID = id;
		return error;
	}

	public static function range():Error {
		return of(3, "The supplied index is out of bounds.", 2006);
	}

	public static function argument():Error {
		return of(2, "One of the parameters is invalid.", 2004);
	}

	public static function isNull(parameter:String):Error {
		return of(7, 'Parameter $parameter must be non-null.', 2007);
	}

	public static function explained(error:Error, detail:String):Error {
		ErrorDetail.set(error, detail, 0);
		return error;
	}
}
