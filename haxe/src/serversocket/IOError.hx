// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's IOError: the socket is not in a state that allows the call, or the system refused. **/
class IOError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "IOError";
	}
}
