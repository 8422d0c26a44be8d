// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What an error of this library says besides AIR's text. It is asked here, since OpenFL's errors have no room for it. **/
class ErrorDetail {
	/** What was attempted, what the system said, and what to do about it, for people to read. "" if nothing is known. **/
	public static function of(error:haxe.Exception):String {
		return Std.isOfType(error, Error) ? (cast error : Error).detail : "";
	}

	/** The operating system's number of the error, 0 if it had none. **/
	public static function osErrorOf(error:haxe.Exception):Int {
		return Std.isOfType(error, Error) ? (cast error : Error).osError : 0;
	}

	@:allow(serversocket.internal)
	static function set(error:Error, detail:String, osError:Int):Void {
		@:privateAccess error.detail = detail;
		@:privateAccess error.osError = osError;
	}
}
