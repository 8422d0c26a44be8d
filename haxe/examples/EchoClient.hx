// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

/** Sends a line and prints what comes back: `EchoClient [host [port [text]]]`. Ends with 1 if that is not all of it. **/
class EchoClient {
	static final socket = new Socket();
	static var host = "127.0.0.1";
	static var port = 7000;
	static var line = "hello\n";

	static function main() {
		var arguments = Sys.args();
		if (arguments.length > 0)
			host = arguments[0];
		if (arguments.length > 1)
			port = Std.parseInt(arguments[1]);
		if (arguments.length > 2)
			line = '${arguments[2]}\n';
		socket.addEventListener(Event.CONNECT, _ -> socket.writeUTFBytes(line));
		socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> onData());
		socket.addEventListener(IOErrorEvent.IO_ERROR, event -> fail(event.detail));
		socket.addEventListener(Event.CLOSE, _ -> fail("the server has ended the connection early"));
		socket.setOption(SocketOption.READ_TIMEOUT, 10000); // who answers nothing for ten seconds answers no more
		socket.connect(host, port);
	}

	static function onData() {
		var length = Bytes.ofString(line).length;
		if (socket.bytesAvailable < length)
			return; // the rest is still on its way
		Sys.print(socket.readUTFBytes(length));
		socket.close(); // nothing can happen any more: the program ends
	}

	static function fail(what:String) {
		Sys.stderr().writeString('$host:$port: $what\n');
		Sys.exit(1);
	}
}
