// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** An echo server that only a local variable knows, while the collector runs again and again. **/
class Forgotten {
	static function main() {
		start(50);
		var timer = new haxe.Timer(5);
		var ticks = 0;
		timer.run = () -> {
			overwriteStack(50);
			Check.collect();
			if (++ticks == 20)
				timer.stop();
		};
	}

	static function start(depth:Int) {
		if (depth > 0) {
			start(depth - 1); // where the timers' own calls do not leave the stack as it is
			return;
		}
		var server = Pair.listen(e -> {
			var socket = e.socket;
			socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				var bytes = new ByteArray();
				socket.readBytes(bytes);
				socket.writeBytes(bytes);
			});
		});
		Sys.println('port ${server.localPort}');
		Sys.stdout().flush();
	}

	static function overwriteStack(depth:Int):Int {
		var numbers = [depth, depth + 1];
		return depth == 0 ? 0 : overwriteStack(depth - 1) + numbers[1];
	}
}
