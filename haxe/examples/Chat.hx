// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** Passes each line on to all the others: `Chat [port; 0 = any, default 7000]`, then `nc 127.0.0.1 7000`, twice. **/
class Chat {
	static var server:ServerSocket;
	static final guests:Array<Guest> = [];

	static function main() {
		server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, event -> guests.push(new Guest(event.socket)));
		server.setOption(SocketOption.MAX_CONNECTIONS, 500); // each line is written to all of them; others wait
		server.setOption(SocketOption.WRITE_LIMIT, 1 << 20); // who does not read what he is told is shown out
		server.bind(Sys.args().length > 0 ? Std.parseInt(Sys.args()[0]) : 7000, "127.0.0.1");
		server.listen();
		Sys.println('listening on 127.0.0.1:${server.localPort}');
		Sys.stdout().flush();
	}

	public static function say(from:Guest, line:String) {
		var text = '${from.name}: $line\n';
		for (guest in guests.copy())
			if (guest != from)
				guest.hear(text);
	}

	public static function leave(guest:Guest) {
		if (guests.remove(guest))
			say(guest, "(has left)");
	}
}

private class Guest {
	/** Who sends a longer one is shown out. **/
	static inline final LONGEST_LINE = 1000;

	public final name:String;

	final socket:Socket;
	final line = new ByteArray();

	public function new(socket:Socket) {
		this.socket = socket;
		name = 'guest ${socket.remotePort}';
		socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> onData());
		socket.addEventListener(Event.CLOSE, _ -> Chat.leave(this));
		socket.addEventListener(IOErrorEvent.IO_ERROR, _ -> {}); // "close" follows
		hear('Welcome, you are $name\n');
	}

	public function hear(text:String) {
		if (!socket.connected)
			return; // its "close" is on its way
		try {
			socket.writeUTFBytes(text);
		} catch (error:IOError) { // it does not read what it is told
			showOut();
		}
	}

	function onData() {
		while (socket.bytesAvailable > 0) {
			var byte = socket.readUnsignedByte();
			if (byte == "\n".code) {
				Chat.say(this, line.toString());
				line.clear();
			} else if (line.length == LONGEST_LINE) {
				showOut();
			} else {
				line.writeByte(byte);
			}
		}
	}

	function showOut() {
		if (socket.connected)
			socket.abort();
		Chat.leave(this);
	}
}
