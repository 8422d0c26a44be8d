// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's RangeError: a number out of range. **/
class RangeError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "RangeError";
	}
}
