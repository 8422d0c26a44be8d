// SPDX-License-Identifier: MIT OR Apache-2.0
import openfl.display.Sprite;
import openfl.errors.IOError;
import openfl.errors.SecurityError;
import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.events.EventDispatcher;
import openfl.events.IOErrorEvent;
import openfl.events.OutputProgressEvent;
import openfl.events.ProgressEvent;
import openfl.events.ServerSocketConnectEvent;
import openfl.net.SecureSocket;
import openfl.net.ServerSocket;
import openfl.net.Socket;
import openfl.net.XMLSocket;
import openfl.security.CertificateStatus;
import openfl.utils.ByteArray;
import openfl.utils.Endian;
import openfl.utils.IDataInput;
import serversocket.ErrorDetail;
import serversocket.Pump;
import serversocket.SocketErrorEvent;
import serversocket.SocketEvent;
import serversocket.SocketOption;
import serversocket.Tls;

/**
	Part of an OpenFL application, which is compiled against OpenFL's own sources: the sockets are this library's, and all
	else is OpenFL's. It prints what it sees.
**/
class InApplication extends Sprite {
	static final keep = [];

	static function main() {
		openfl.Lib.current.addChild(new InApplication());
	}

	function new() {
		super();
		var isStarted = false;
		addEventListener(Event.ADDED, _ -> isStarted = true);
		dispatchEvent(new Event(Event.ADDED));
		say('a Sprite: $isStarted');
		Pump.automatic = false; // this program has no frames
		echo();
		xml();
		errors();
		listeners();
		more();
		secure();
		openfl.Lib.current.removeEventListener(Event.ENTER_FRAME, null); // OpenFL takes it
		Sys.exit(0);
	}

	static function say(line:String) {
		Sys.println(line);
	}

	static function until(condition:() -> Bool) {
		var end = haxe.Timer.stamp() + 30;
		while (!condition()) {
			if (haxe.Timer.stamp() > end)
				throw "waited in vain";
			Pump.poll(5);
		}
	}

	static function serve(onData:(Socket, ProgressEvent) -> Void):ServerSocket {
		var server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, (e:ServerSocketConnectEvent) -> {
			var socket = e.socket; // held by nobody
			socket.addEventListener(ProgressEvent.SOCKET_DATA, p -> onData(socket, p));
		});
		server.bind(0, "127.0.0.1");
		server.listen();
		return server;
	}

	/** OpenFL's ByteArray goes both ways, and grows; what is written is not what is allocated. **/
	static function echo() {
		var server = serve((socket, p) -> {
			var bytes = new ByteArray();
			bytes.writeUTFBytes("<");
			socket.readBytes(bytes, 1);
			socket.writeBytes(bytes);
			socket.writeBytes(bytes, 1, 2);
		});
		var client = new Socket();
		var progress = 0;
		client.addEventListener(OutputProgressEvent.OUTPUT_PROGRESS, e -> progress++);
		client.addEventListener(Event.CONNECT, (e:Event) -> {
			say('connect: ${e.target == client}, ${Type.getClassName(Type.getClass(e))}');
			var bytes = new ByteArray();
			bytes.writeUTFBytes("hello");
			client.writeBytes(bytes);
		});
		client.connect("127.0.0.1", server.localPort);
		until(() -> client.bytesAvailable == 8);
		var input:IDataInput = client;
		var bytes = new ByteArray();
		input.readBytes(bytes, 2);
		bytes.position = 2;
		say('echo: ${bytes.length} ${bytes.readUTFBytes(8)} ${client.bytesAvailable} ${progress > 0}');
		input.endian = Endian.LITTLE_ENDIAN;
		say('endian: ${(client.endian : String)}');
		client.close();
		server.close();
	}

	/** OpenFL's own XMLSocket, which has one of this library's sockets inside. **/
	static function xml() {
		var server = serve((socket, _) -> {
			var bytes = new ByteArray();
			socket.readBytes(bytes);
			socket.writeBytes(bytes);
		});
		var heard = null;
		var socket = new XMLSocket();
		socket.addEventListener(Event.CONNECT, _ -> socket.send("<a/>"));
		socket.addEventListener(DataEvent.DATA, (e:DataEvent) -> heard = e.data);
		socket.connect("127.0.0.1", server.localPort);
		until(() -> heard != null);
		say('XMLSocket: ${heard.split("\x00")[0]}'); // on neko OpenFL leaves the zero in it
		socket.close();
		server.close();
	}

	static function errors() {
		try {
			new Socket().readByte();
		} catch (error:IOError) {
			say('IOError ${error.errorID}, with a detail: ${ErrorDetail.of(error) != ""}');
		}
		try {
			new Socket("127.0.0.1", 65536);
		} catch (error:SecurityError) {
			say('SecurityError ${error.errorID}');
		}
		var free = new ServerSocket();
		free.bind(0, "127.0.0.1");
		var port = free.localPort;
		free.close();
		var heard = null;
		var socket = new Socket();
		socket.addEventListener(IOErrorEvent.IO_ERROR, (e:IOErrorEvent) -> heard = e);
		socket.connect("127.0.0.1", port);
		until(() -> heard != null);
		say('ioError: ${heard.text} ${cast(heard, SocketErrorEvent).osError > 0}');
	}

	/** What this library has more than OpenFL: halves, paths, peace. **/
	static function more() {
		var heard = [];
		var path = '/tmp/serversocket-${Std.random(1 << 29)}.sock';
		var server = new ServerSocket();
		server.setOption(SocketOption.HALF_OPEN, 1);
		server.addEventListener(ServerSocketConnectEvent.CONNECT, (e:ServerSocketConnectEvent) -> {
			var socket = e.socket;
			heard.push('a peer: ${socket.peerCredentials().pid > 0}');
			socket.addEventListener(SocketEvent.END, (e:SocketEvent) -> {
				heard.push('${e.type}: ${socket.readUTFBytes(2)} ${Std.isOfType(e, Event)}');
				socket.writeUTFBytes("ok");
				socket.shutdown();
			});
		});
		server.addEventListener(Event.CLOSE, _ -> heard.push('drained: ${server.closeError}'));
		server.bindPath(path);
		server.listen();
		var client = new Socket();
		client.addEventListener(Event.CONNECT, _ -> {
			client.writeUTFBytes("hi");
			client.shutdown();
			server.drain(30000);
		});
		client.addEventListener(Event.CLOSE, _ -> heard.push('close: ${client.readUTFBytes(2)}'));
		client.connectPath(path);
		until(() -> heard.length == 4);
		heard.sort(Reflect.compare);
		say(heard.join(", "));
	}

	static function secure() {
		var status:CertificateStatus = CertificateStatus.TRUSTED;
		say('SecureSocket: ${SecureSocket.isSupported == Tls.isSupported}, $status');
		if (!SecureSocket.isSupported)
			return;
		var socket = new SecureSocket();
		if (socket.serverCertificate != null || socket.serverCertificateStatus != CertificateStatus.UNKNOWN)
			say("nothing is known of the server yet");
	}

	/** As in OpenFL, what a listener throws flies; but not through C: each comes out of a poll when its turn is over. **/
	static function listeners() {
		var count = 0;
		var server = serve((socket, p) -> {
			count++;
			throw new openfl.errors.Error("thrown by " + socket.readUTFBytes(1));
		});
		var first = new Socket("127.0.0.1", server.localPort);
		var second = new Socket("127.0.0.1", server.localPort);
		until(() -> first.connected && second.connected);
		first.writeUTFBytes("a");
		second.writeUTFBytes("b");
		var seen = [];
		while (seen.length < 2) {
			try
				until(() -> false)
			catch (error:openfl.errors.Error)
				seen.push(error.message);
		}
		seen.sort(Reflect.compare);
		say('$seen $count');
		var plain = new EventDispatcher(first);
		plain.addEventListener("x", e -> say('target: ${e.target == first}'));
		plain.dispatchEvent(new Event("x"));
		keep.push(server);
		first.close();
		second.close();
		server.close();
	}
}
