// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;
import sys.FileSystem;
import sys.io.File;

/** Unix-domain sockets. **/
@:keep
class PathTests {
	static var count = 0;

	final isThere = Sys.systemName() != "Windows";

	public function new() {}

	function path():String {
		return '/tmp/serversocket-${Std.random(1 << 29)}-${count++}.sock';
	}

	function testAnEchoThroughAFile() {
		if (!isThere) {
			Check.throws(Error, 0, () -> new ServerSocket().bindPath("x"));
			return;
		}
		var file = path();
		var server = new ServerSocket();
		var accepted:Socket = null;
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> {
			accepted = e.socket;
			accepted.addEventListener(ProgressEvent.SOCKET_DATA, _ -> accepted.writeUTFBytes(accepted.readUTFBytes(accepted.bytesAvailable)));
		});
		server.bindPath(file);
		Check.equal(file, server.localAddress);
		Check.equal(0, server.localPort);
		server.listen();
		var heard = [];
		var client = new Socket();
		client.addEventListener(Event.CONNECT, _ -> {
			heard.push("connect");
			client.writeUTFBytes("hello");
		});
		client.connectPath(file);
		Check.equal(false, client.connected);
		Check.until(() -> client.bytesAvailable == 5, "an echo");
		Check.list(["connect"], heard);
		Check.equal(null, client.remoteAddress);
		Check.equal(0, accepted.remotePort);
		credentials(accepted);
		credentials(client);
		client.close();
		server.close();
		Check.equal(false, FileSystem.exists(file));
	}

	function credentials(socket:Socket) {
		var peer = socket.peerCredentials();
		var us = new sys.io.Process("id", ["-u"]);
		Check.equal(StringTools.trim(us.stdout.readAll().toString()), '${peer.uid}');
		us.close();
		Check.isTrue(peer.pid > 0 && peer.gid >= 0, "this process");
	}

	/** No file, so nothing is left behind. **/
	function testAnAbstractName() {
		if (Sys.systemName() != "Linux")
			return;
		var name = "@" + path();
		var held = [];
		var server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push(e.socket));
		server.bindPath(name);
		server.listen();
		var client = new Socket();
		client.connectPath(name);
		Check.until(() -> held.length == 1 && client.connected, "a connection");
		client.close();
		server.close();
	}

	function testWhatCannotBeAPath() {
		var before = path();
		for (call in [(text:String) -> new ServerSocket().bindPath(text), (text:String) -> new Socket().connectPath(text)]) {
			Check.throws(TypeError, 2007, () -> call(null));
			for (text in ["", "/tmp/" + StringTools.lpad("", "x", 200), before + "\x00y"])
				Check.throws(ArgumentError, 2004, () -> call(text));
		}
		Check.equal(false, FileSystem.exists(before));
	}

	/** No file of somebody else's is ever replaced. **/
	function testAFileThatIsThereStays() {
		if (!isThere)
			return;
		var file = path();
		File.saveContent(file, "text");
		var error = Check.throws(IOError, 2002, () -> new ServerSocket().bindPath(file));
		Check.isTrue(error.osError != 0, "it says why");
		Check.equal("text", File.getContent(file));
		FileSystem.deleteFile(file);
	}

	function testAPathWhereNobodyListensIsAnIoError() {
		if (!isThere)
			return;
		var details = [];
		var socket = new Socket();
		socket.addEventListener(IOErrorEvent.IO_ERROR, e -> details.push(e.detail));
		var file = path();
		socket.connectPath(file);
		Check.until(() -> details.length == 1, "an ioError");
		Check.isTrue(details[0].indexOf(file) >= 0, 'it says where: ${details[0]}');
	}

	function testAPeerByTcpHasNoCredentials() {
		var pair = new Pair();
		Check.throws(Error, 0, () -> pair.socket.peerCredentials());
		pair.close();
		Check.throws(IOError, 2002, () -> pair.socket.peerCredentials());
	}
}
