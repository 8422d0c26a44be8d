// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's EOFError: fewer bytes have arrived than were asked for. None of them was consumed. **/
class EOFError extends IOError {
	public function new(message:String = null, id:Int = 2030) {
		super(message == null ? "End of file was encountered." : message, id);
		name = "EOFError";
	}
}
