// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/**
	What happens beside the network, and at the end, when `haxe.MainLoop` pumps: timers and calls from other threads come
	while a server waits; and the program ends by itself, but not before all that was written is sent.
**/
class LastWords {
	static var server:ServerSocket;
	static var socket:Socket;
	static var ticks = 0;
	static var calls = 0;

	static function main() {
		server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, _ -> {});
		server.bind(0, "127.0.0.1");
		server.listen();
		var timer = new haxe.Timer(5);
		timer.run = () -> {
			if (++ticks < 3)
				return;
			timer.stop();
			haxe.MainLoop.addThread(() -> haxe.MainLoop.runInMainThread(leave));
		};
	}

	static function leave() {
		calls++;
		Sys.println('$ticks ticks, $calls call');
		server.close();
		socket = new Socket("127.0.0.1", Std.parseInt(Sys.args()[0]));
		socket.addEventListener(Event.CONNECT, _ -> {
			socket.writeBytes(new ByteArray(20 << 20));
			socket.close();
		});
	}
}
