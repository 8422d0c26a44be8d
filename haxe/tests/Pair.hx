// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

/** A listening server with a client, which is a plain socket of Haxe's own, and the connection between them. **/
class Pair {
	public final server:ServerSocket;
	public final client:sys.net.Socket;
	public final socket:Socket;

	public function new(?prepare:Socket->Void) {
		var accepted:Socket = null;
		server = listen(e -> {
			accepted = e.socket;
			if (prepare != null)
				prepare(e.socket);
		});
		client = connect(server.localPort);
		Check.until(() -> accepted != null, "a connect event");
		socket = accepted;
	}

	public static function listen(?onConnect:ServerSocketConnectEvent->Void, address:String = "127.0.0.1"):ServerSocket {
		var server = new ServerSocket();
		if (onConnect != null)
			server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect);
		server.bind(0, address);
		server.listen();
		return server;
	}

	public static function connect(port:Int, ?from:String):sys.net.Socket {
		var client = new sys.net.Socket();
		client.setTimeout(30);
		if (from != null)
			client.bind(new sys.net.Host(from), 0);
		client.connect(new sys.net.Host("127.0.0.1"), port);
		return client;
	}

	/** The client sends, and the socket has it all. **/
	public function send(bytes:Bytes):Void {
		client.output.write(bytes);
		var total = socket.bytesAvailable + bytes.length;
		Check.until(() -> socket.bytesAvailable == total, "the client's bytes");
	}

	/** What the client receives: so many bytes, or fewer if the connection ends. The server is pumped meanwhile. **/
	public function receive(length:Int):Bytes {
		var bytes = Bytes.alloc(length);
		var count = 0;
		var ended = false;
		Check.until(() -> {
			while (count < length && !ended && sys.net.Socket.select([client], [], [], 0).read.length > 0) {
				try {
					count += client.input.readBytes(bytes, count, length - count);
				} catch (_:haxe.io.Eof) {
					ended = true;
				}
			}
			return count == length || ended;
		}, 'the client receives $length bytes');
		return bytes.sub(0, count);
	}

	public function close():Void {
		try client.close() catch (_:haxe.Exception) {} // a test may have done so
		if (socket.connected)
			socket.close();
		if (server.bound)
			server.close();
	}
}
