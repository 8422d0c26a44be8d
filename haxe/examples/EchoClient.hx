// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** Sends a line and prints what comes back: `EchoClient [host [port [text]]]`. **/
class EchoClient {
	static var socket:Socket;

	static function main() {
		var arguments = Sys.args();
		var host = arguments.length > 0 ? arguments[0] : "127.0.0.1";
		var port = arguments.length > 1 ? Std.parseInt(arguments[1]) : 7000;
		var text = arguments.length > 2 ? arguments[2] : "hello";
		socket = new Socket();
		socket.addEventListener(Event.CONNECT, _ -> socket.writeUTFBytes('$text\n'));
		socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
			if (socket.bytesAvailable <= haxe.io.Bytes.ofString(text).length)
				return; // the rest is still on its way
			Sys.print(socket.readUTFBytes(socket.bytesAvailable));
			socket.close(); // nothing can happen any more: the program ends
		});
		socket.addEventListener(IOErrorEvent.IO_ERROR, event -> {
			Sys.stderr().writeString('$host:$port: ${event.text} (system error ${event.osError})\n');
			Sys.exit(1);
		});
		socket.connect(host, port);
	}
}
