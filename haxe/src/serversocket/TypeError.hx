// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's TypeError: a null where there must be something. **/
class TypeError extends Error {
	public function new(message:String = "", id:Int = 0) {
		super(message, id);
		name = "TypeError";
	}
}
