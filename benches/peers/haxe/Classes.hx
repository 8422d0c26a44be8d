// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** The echo server of Haxe's classes over the library: `Classes echo [port; 0 = any]`. **/
class Classes {
	static final server = new ServerSocket();

	/** Used again for each message. **/
	static final bytes = new ByteArray();

	static function main() {
		server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect);
		server.bind(Sys.args().length > 1 ? Std.parseInt(Sys.args()[1]) : 0, "127.0.0.1");
		server.listen();
		Sys.println('listening on 127.0.0.1:${server.localPort}');
		Sys.stdout().flush();
	}

	static function onConnect(event:ServerSocketConnectEvent) {
		event.socket.addEventListener(ProgressEvent.SOCKET_DATA, onData);
	}

	static function onData(event:ProgressEvent) {
		var socket:Socket = event.target;
		bytes.length = 0;
		socket.readBytes(bytes);
		socket.writeBytes(bytes);
	}
}
