// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.net;

import openfl.errors.IllegalOperationError;

/** Not offered beside this library's sockets: as AIR has it, `isSupported` says so, and the constructor throws. **/
class SecureSocket extends Socket {
	public static var isSupported(get, never):Bool;

	public function new() {
		throw new IllegalOperationError("server-socket has no SecureSocket; OpenFL's own cannot work beside it");
		super();
	}

	static function get_isSupported():Bool {
		return false;
	}
}
