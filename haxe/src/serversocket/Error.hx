// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's Error, the base of all that this library throws. **/
class Error extends haxe.Exception {
	/** AIR's number of the error: 2002, 2003, ...; 0 if it has none. **/
	public var errorID(default, null):Int;

	/** The class in words: "RangeError", "IOError", ... **/
	public var name:String;

	/** What was attempted, what the system said, and what to do about it, for people to read. "" if nothing is known. **/
	public var detail(default, null):String = "";

	/** The operating system's number of the error, 0 if it had none. **/
	public var osError(default, null):Int = 0;

	public function new(message:String = "", id:Int = 0) {
		super(message);
		errorID = id;
		name = "Error";
	}

	/** As Flash prints it: `RangeError: Error #2003: Invalid socket port number specified.` **/
	override public function toString():String {
		return errorID == 0 ? '$name: $message' : '$name: Error #$errorID: $message';
	}

	public function getStackTrace():String {
		return stack.toString();
	}
}
