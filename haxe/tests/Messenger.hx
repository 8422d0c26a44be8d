// SPDX-License-Identifier: MIT OR Apache-2.0
import openfl.errors.EOFError;
import openfl.errors.IOError;
import openfl.errors.RangeError;
import openfl.events.Event;
import openfl.events.IOErrorEvent;
import openfl.events.ProgressEvent;
import openfl.events.SecurityErrorEvent;
import openfl.events.ServerSocketConnectEvent;
import openfl.net.ServerSocket;
import openfl.net.Socket;
import openfl.utils.ByteArray;
import openfl.utils.Endian;

/**
	A program as one writes it for OpenFL: a server that counts the words of messages, and a client that sends three. The
	test compiles it as it is against openfl-dropin, and once more with nothing but its imports changed.
**/
class Messenger {
	static var messenger:Messenger;

	var serverSocket:ServerSocket;
	var clients:Array<Socket> = [];
	var client:Socket;
	var questions = ["one", "one two", "one two three"];

	static function main():Void {
		messenger = new Messenger();
	}

	function new() {
		serverSocket = new ServerSocket();
		try {
			serverSocket.bind(99999, "127.0.0.1");
		} catch (e:RangeError) {
			Sys.println(e.message);
		}
		serverSocket.addEventListener(ServerSocketConnectEvent.CONNECT, serverSocket_onConnect);
		serverSocket.bind(0, "127.0.0.1");
		serverSocket.listen();

		client = new Socket();
		client.endian = Endian.LITTLE_ENDIAN;
		client.addEventListener(Event.CONNECT, client_onConnect);
		client.addEventListener(ProgressEvent.SOCKET_DATA, client_onSocketData);
		client.addEventListener(Event.CLOSE, client_onClose);
		client.addEventListener(IOErrorEvent.IO_ERROR, client_onIOError);
		client.addEventListener(SecurityErrorEvent.SECURITY_ERROR, client_onSecurityError);
		client.connect("127.0.0.1", serverSocket.localPort);
	}

	function serverSocket_onConnect(event:ServerSocketConnectEvent):Void {
		var socket:Socket = event.socket;
		clients.push(socket);
		socket.endian = Endian.LITTLE_ENDIAN;
		socket.addEventListener(ProgressEvent.SOCKET_DATA, socket_onSocketData);
		Sys.println("a client from " + socket.remoteAddress);
	}

	function socket_onSocketData(event:ProgressEvent):Void {
		var socket = cast(event.currentTarget, Socket);
		while (socket.bytesAvailable > 0) {
			var text:String;
			try {
				text = socket.readUTF();
			} catch (e:EOFError) {
				return; // the rest of it comes later
			}
			if (text == "bye") {
				socket.close();
				serverSocket.close();
				return;
			}
			var answer = new ByteArray();
			answer.endian = Endian.LITTLE_ENDIAN;
			answer.writeInt(text.split(" ").length);
			socket.writeBytes(answer, 0, answer.length);
			socket.flush();
		}
	}

	function client_onConnect(event:Event):Void {
		for (question in questions)
			client.writeUTF(question);
		client.flush();
	}

	function client_onSocketData(event:ProgressEvent):Void {
		while (client.bytesAvailable >= 4) {
			Sys.println(questions.shift() + ": " + client.readInt());
			if (questions.length == 0) {
				client.writeUTF("bye");
				client.flush();
			}
		}
	}

	function client_onClose(event:Event):Void {
		Sys.println(event.type + ", connected: " + client.connected);
		try {
			client.writeByte(1);
		} catch (e:IOError) {
			Sys.println(e.message);
		}
	}

	function client_onIOError(event:IOErrorEvent):Void {
		Sys.println(event.text);
	}

	function client_onSecurityError(event:SecurityErrorEvent):Void {
		Sys.println(event.text);
	}
}
