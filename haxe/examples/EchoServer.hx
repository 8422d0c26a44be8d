// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** Sends back whatever comes: `EchoServer [port; 0 = any, default 7000]`, then `nc 127.0.0.1 7000`. **/
class EchoServer {
	static var server:ServerSocket;

	/** Used again for each message. **/
	static final bytes = new ByteArray();

	static function main() {
		server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect);
		server.bind(Sys.args().length > 0 ? Std.parseInt(Sys.args()[0]) : 7000, "127.0.0.1");
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
		try {
			socket.writeBytes(bytes); // sent when this listener ends
		} catch (error:IOError) { // the peer sends, but does not read
			socket.abort();
		}
	}
}
