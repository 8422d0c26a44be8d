// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/**
	A program that never returns from `main`, and draws: each of its frames lets the events of its thread happen. Nothing
	tells the sockets of it. They must not wait in its frames.
**/
class OwnFrames {
	static function main() {
		var echoed = 0;
		var server = Pair.listen(e -> {
			var socket = e.socket;
			socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				var bytes = new ByteArray();
				socket.readBytes(bytes);
				echoed += bytes.length;
			});
		});
		var client = new Socket("127.0.0.1", server.localPort);
		client.addEventListener(Event.CONNECT, _ -> client.writeUTFBytes("hello"));
		var inside = [];
		for (frame in 0...100) {
			var before = haxe.Timer.stamp();
			sys.thread.Thread.current().events.progress();
			inside.push(haxe.Timer.stamp() - before);
			Sys.sleep(0.003);
		}
		inside.sort(Reflect.compare);
		Sys.println('echoed $echoed, held up: ${inside[50] > 0.003}');
		Sys.exit(0);
	}
}
