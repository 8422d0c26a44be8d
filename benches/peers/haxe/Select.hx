// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import sys.net.Host;
import sys.net.Socket;

/** The same without the library: a loop around `sys.net.Socket.select`, with one buffer for all. **/
class Select {
	static inline final READ_SIZE = 256 * 1024;
	static final room = Bytes.alloc(READ_SIZE);
	static final server = new Socket();

	/** The server, and its clients. **/
	static final sockets = [server];

	static function main() {
		server.bind(new Host("127.0.0.1"), Sys.args().length > 1 ? Std.parseInt(Sys.args()[1]) : 0);
		server.listen(4096);
		Sys.println('listening on 127.0.0.1:${server.host().port}');
		Sys.stdout().flush();
		while (true)
			for (ready in Socket.select(sockets, [], []).read) {
				if (ready == server)
					accept();
				else
					echo(ready);
			}
	}

	static function accept() {
		var client = server.accept();
		client.setFastSend(true);
		sockets.push(client);
	}

	static function echo(client:Socket) {
		try {
			var length = client.input.readBytes(room, 0, READ_SIZE);
			client.output.writeFullBytes(room, 0, length);
		} catch (_:haxe.Exception) { // the end
			sockets.remove(client);
			client.close();
		}
	}
}
