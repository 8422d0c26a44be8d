// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** The library's own events, as numbers: the two bindings count alike. **/
enum abstract EventKind(Int) from Int to Int {
	var CONNECT = 0;
	var CLOSE = 1;
	var SOCKET_DATA = 2;
	var OUTPUT_PROGRESS = 3;
	var IO_ERROR = 4;
	var END = 5;
	var HANDSHAKE_ERROR = 6;

	/** Not the library's. **/
	var OTHER = -1;

	public static function of(type:String):EventKind {
		return switch (type) {
			case "connect": CONNECT;
			case "close": CLOSE;
			case "socketData": SOCKET_DATA;
			case "outputProgress": OUTPUT_PROGRESS;
			case "ioError": IO_ERROR;
			case "end": END;
			case "handshakeError": HANDSHAKE_ERROR;
			case _: OTHER;
		}
	}
}
