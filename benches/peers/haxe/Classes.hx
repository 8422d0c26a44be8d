// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/**
	The echo server of Haxe's classes over the library: `Classes echo [port; 0 = any]`. `Classes frames` says how long a frame's poll takes
	of a server that has nothing to do, with 64 connections.
**/
class Classes {
	static final server = new ServerSocket();

	/** Used again for each message. **/
	static final bytes = new ByteArray();

	static function main() {
		server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect);
		server.bind(Sys.args().length > 1 ? Std.parseInt(Sys.args()[1]) : 0, "127.0.0.1");
		server.listen();
		if (Sys.args()[0] == "frames") {
			frames();
			return;
		}
		Sys.println('listening on 127.0.0.1:${server.localPort}');
		Sys.stdout().flush();
	}

	static function frames() {
		Pump.automatic = false;
		var clients = [for (_ in 0...64) new Socket("127.0.0.1", server.localPort)];
		while (!Lambda.foreach(clients, client -> client.connected))
			Pump.poll(1);
		final count = 100000;
		var start = haxe.Timer.stamp();
		for (_ in 0...count)
			Pump.poll(0);
		Sys.println('${(haxe.Timer.stamp() - start) / count * 1e6} µs a frame');
		Sys.exit(0);
	}

	static function onConnect(event:ServerSocketConnectEvent) {
		var socket = event.socket;
		socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
			bytes.length = 0;
			socket.readBytes(bytes);
			socket.writeBytes(bytes);
		});
	}
}
