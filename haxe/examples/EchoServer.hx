// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** Sends back whatever comes: `EchoServer [port; 0 = any, default 7000]`, then `nc 127.0.0.1 7000`. **/
class EchoServer {
	/** So many bytes may wait for a peer that does not read. Then it is not read from. **/
	static inline final MOST_PENDING = 1000000;

	static final server = new ServerSocket();

	/** Used again for each message. **/
	static final bytes = new ByteArray();

	static function main() {
		server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect);
		server.setOption(SocketOption.IDLE_TIMEOUT, 60000); // ends who is silent, or does not read, for a minute or two
		server.bind(Sys.args().length > 0 ? Std.parseInt(Sys.args()[0]) : 7000, "127.0.0.1");
		server.listen();
		Sys.println('listening on 127.0.0.1:${server.localPort}');
		Sys.stdout().flush();
	}

	static function onConnect(event:ServerSocketConnectEvent) {
		var socket = event.socket;
		socket.addEventListener(ProgressEvent.SOCKET_DATA, onData);
		socket.addEventListener(OutputProgressEvent.OUTPUT_PROGRESS, onOutput);
		socket.addEventListener(IOErrorEvent.IO_ERROR, _ -> {}); // "close" follows
	}

	static function onData(event:ProgressEvent) {
		var socket:Socket = event.target;
		bytes.length = 0;
		socket.readBytes(bytes);
		socket.writeBytes(bytes); // sent when this listener ends
		if (socket.bytesPending > MOST_PENDING)
			socket.pause();
	}

	static function onOutput(event:OutputProgressEvent) {
		var socket:Socket = event.target;
		if (event.bytesPending == 0 && socket.connected)
			socket.resume();
	}
}
