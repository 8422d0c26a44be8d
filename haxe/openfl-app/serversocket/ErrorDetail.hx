// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import sys.thread.Tls;

/** What an error of this library says besides AIR's text: of the last one of each thread, since OpenFL's have no room for it. **/
class ErrorDetail {
	static final last = new Tls<ErrorDetail>();

	final error:Error;
	final detail:String;
	final osError:Int;

	function new(error:Error, detail:String, osError:Int) {
		this.error = error;
		this.detail = detail;
		this.osError = osError;
	}

	/** What was attempted, what the system said, and what to do about it, for people to read. "" if nothing is known. **/
	public static function of(error:Dynamic):String {
		var known = last.value;
		return known != null && known.error == error ? known.detail : "";
	}

	/** The operating system's number of the error, 0 if it had none. **/
	public static function osErrorOf(error:Dynamic):Int {
		var known = last.value;
		return known != null && known.error == error ? known.osError : 0;
	}

	@:allow(serversocket.internal)
	static function set(error:Error, detail:String, osError:Int):Void {
		last.value = new ErrorDetail(error, detail, osError);
	}
}
