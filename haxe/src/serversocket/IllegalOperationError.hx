// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's IllegalOperationError: not thrown by sockets; it is for programs that throw it. **/
class IllegalOperationError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "IllegalOperationError";
	}
}
