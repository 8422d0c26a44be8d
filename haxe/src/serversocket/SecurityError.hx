// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's SecurityError: a remote port out of range. **/
class SecurityError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "SecurityError";
	}
}
