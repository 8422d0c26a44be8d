// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's ArgumentError: a malformed value. **/
class ArgumentError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "ArgumentError";
	}
}
