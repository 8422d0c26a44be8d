// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

@:keep
class ServerTests {
	public function new() {}

	function testANewServerIsNothingYet() {
		var server = new ServerSocket();
		Check.equal(true, ServerSocket.isSupported);
		Check.equal(false, server.bound);
		Check.equal(false, server.listening);
		Check.equal(null, server.localAddress);
		Check.equal(0, server.localPort);
		Check.equal("[object ServerSocket]", server.toString());
	}

	function testItsAddressIsKnownAsSoonAsItIsBound() {
		var server = new ServerSocket();
		server.bind();
		Check.equal(true, server.bound);
		Check.equal(false, server.listening);
		Check.equal("0.0.0.0", server.localAddress);
		Check.isTrue(server.localPort > 0, "the real port");
		server.listen();
		Check.equal(true, server.listening);
		server.close();
	}

	/** OpenFL keeps the old port and address. **/
	function testNothingIsLeftAfterClose() {
		var server = Pair.listen();
		server.close();
		Check.equal(false, server.bound);
		Check.equal(false, server.listening);
		Check.equal(null, server.localAddress);
		Check.equal(0, server.localPort);
	}

	function testPortsOutOfRange() {
		var server = new ServerSocket();
		for (port in [-1, 65536, 2147483647, -2147483648]) {
			var error = Check.throws(RangeError, 2003, () -> server.bind(port));
			Check.equal("Invalid socket port number specified.", error.message);
		}
		Check.throws(RangeError, 2003, () -> server.bind(-1, "nonsense")); // the port is looked at first
		server.bind(0, "127.0.0.1");
		server.close();
	}

	/** OpenFL swallows them, and stays unbound in silence. **/
	function testMalformedAddresses() {
		var server = new ServerSocket();
		for (address in ["localhost", "127.1", "0x7f.0.0.1", "127.0.0.01", " 127.0.0.1", "[::1]", "1.2.3", "::1%no-such-interface", "127.0.0.1\x00x"]) {
			var error = Check.throws(ArgumentError, 2004, () -> server.bind(0, address));
			Check.equal("One of the parameters is invalid.", error.message);
			Check.equal(false, server.bound);
		}
	}

	/** OpenFL swallows this as well. **/
	function testAPortThatIsTaken() {
		var first = Pair.listen();
		var second = new ServerSocket();
		var error = Check.throws(IOError, 2002, () -> second.bind(first.localPort, "127.0.0.1"));
		Check.equal("Operation attempted on invalid socket.", error.message);
		Check.isTrue(error.osError != 0 && error.detail != "", "it says why");
		Check.equal(false, second.bound);
		second.bind(0, "127.0.0.1"); // it may try again
		second.close();
		Check.equal(true, first.listening);
		first.close();
	}

	function testAnAddressThatIsNotOurs() {
		var server = new ServerSocket();
		Check.throws(IOError, 2002, () -> server.bind(0, "192.0.2.1"));
	}

	function testBindingTwice() {
		var server = Pair.listen();
		var port = server.localPort;
		Check.throws(IOError, 2002, () -> server.bind(0, "127.0.0.1"));
		Check.equal(port, server.localPort);
		server.close();
		Check.throws(IOError, 2002, () -> server.bind(0, "127.0.0.1"));
		Check.throws(IOError, 2002, () -> server.listen());
	}

	/** OpenFL listens on some port of all addresses. **/
	function testListeningUnbound() {
		Check.throws(IOError, 2002, () -> new ServerSocket().listen());
	}

	function testANegativeBacklog() {
		var server = new ServerSocket();
		server.bind(0, "127.0.0.1");
		var error = Check.throws(RangeError, 2006, () -> server.listen(-1));
		Check.equal("The supplied index is out of bounds.", error.message);
		Check.equal(false, server.listening);
		server.listen(1);
		server.listen(100); // once more, with another backlog
		server.close();
	}

	/** OpenFL is silent. **/
	function testClosingTwiceOrBeforeBind() {
		var server = new ServerSocket();
		Check.throws(Error, 2002, () -> server.close());
		server.bind(0, "127.0.0.1");
		server.close();
		Check.throws(Error, 2002, () -> server.close());
	}

	/** OpenFL accepts one in each frame. **/
	function testAllThatWaitAreAcceptedInAFewTurns() {
		var sockets = [];
		var server = Pair.listen(e -> sockets.push(e.socket));
		var clients = [for (_ in 0...50) Pair.connect(server.localPort)];
		var turns = 0;
		Check.until(() -> {
			turns++;
			return sockets.length == 50;
		}, "50 connect events");
		Check.isTrue(turns < 25, '$turns turns for 50 connections');
		for (client in clients)
			client.close();
		server.close();
	}

	/** In OpenFL removing any one ends accepting. **/
	function testAcceptingGoesOnWhenOneOfTwoListenersIsRemoved() {
		var held = [];
		var first = (e:ServerSocketConnectEvent) -> held.push("first");
		var server = Pair.listen(first);
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push("second"));
		server.removeEventListener(ServerSocketConnectEvent.CONNECT, first);
		var client = Pair.connect(server.localPort);
		Check.until(() -> held.length > 0, "a connect event");
		Check.list(["second"], held);
		client.close();
		server.close();
	}

	function testPeersWaitWhileNobodyListensForThem() {
		var held = [];
		var server = Pair.listen();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push(e.socket), true); // never called
		var client = Pair.connect(server.localPort);
		Check.settle();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push(e.socket));
		Check.until(() -> held.length == 1, "the one that has waited");
		Check.equal(true, held[0].connected);
		client.close();
		server.close();
	}

	function testTheConnectEventBringsASocketThatIsConnected() {
		var text = "";
		var pair = new Pair(socket -> {
			Check.equal(true, socket.connected);
			text = '${socket.localAddress} ${socket.remoteAddress}';
		});
		Check.equal("127.0.0.1 127.0.0.1", text);
		Check.equal(pair.server.localPort, pair.socket.localPort);
		Check.equal(pair.client.host().port, pair.socket.remotePort);
		pair.close();
	}

	/** OpenFL says "127.0.0.1" whoever it is. **/
	function testTheRemoteAddressIsThePeers() {
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket), "0.0.0.0");
		var client = Pair.connect(server.localPort, "127.0.0.5");
		Check.until(() -> held.length == 1, "a connect event");
		Check.equal("127.0.0.5", held[0].remoteAddress);
		client.close();
		server.close();
	}

	/** OpenFL's descriptor is a blocking one there: the first turn never ends. **/
	function testAServerOfIPv6DoesNotBlock() {
		var held = [];
		var server = new ServerSocket();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push(e.socket));
		try {
			server.bind(0, "::");
		} catch (error:IOError) {
			Sys.println("SKIPPED: this machine has no IPv6");
			return;
		}
		server.listen();
		Check.settle();
		var client = new Socket("::1", server.localPort);
		Check.until(() -> held.length == 1 && client.connected, "a connection by IPv6");
		Check.equal("::", server.localAddress);
		Check.equal("::1", held[0].remoteAddress);
		client.close();
		server.close();
	}

	/** Kills an OpenFL server with SIGSEGV. **/
	function testAClientThatResetsBeforeItIsAccepted() {
		var held = [];
		var server = Pair.listen();
		var client = new Socket("127.0.0.1", server.localPort);
		Check.until(() -> client.connected, "the client is connected");
		client.abort();
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> {
			held.push(e.socket);
			e.socket.remoteAddress;
		});
		Check.settle();
		var second = Pair.connect(server.localPort);
		Check.until(() -> held.length > 0 && held[held.length - 1].connected, "the next client");
		second.close();
		server.close();
	}

	function testAPeerIsTurnedAwayByClose() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
			socket.close();
		});
		Check.equal(false, pair.socket.connected);
		Check.throws(IOError, 2002, () -> pair.socket.close());
		Check.equal(0, pair.receive(1).length);
		Check.settle();
		Check.list([], heard);
		pair.close();
	}

	function testClosingTheServerInItsListenerEndsAccepting() {
		var held = [];
		var server:ServerSocket = null;
		server = Pair.listen(e -> {
			held.push(e.socket);
			server.close();
		});
		var clients = [for (_ in 0...10) Pair.connect(server.localPort)];
		Check.settle();
		Check.equal(1, held.length);
		Check.equal(true, held[0].connected); // accepted sockets live on
		for (client in clients)
			client.close();
	}

	function testAConnectListenerThatThrowsStopsNobody() {
		var held = [];
		var server = Pair.listen(e -> throw "no");
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> held.push(e.socket));
		var told = Check.uncaughtIn(() -> {
			var clients = [for (_ in 0...3) Pair.connect(server.localPort)];
			Check.until(() -> held.length == 3, "three connect events");
			for (client in clients)
				client.close();
		});
		Check.list(["no", "no", "no"], told);
		server.close();
	}

	function testPauseAndResume() {
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket));
		server.pause();
		var client = Pair.connect(server.localPort);
		Check.settle();
		Check.equal(0, held.length);
		server.resume();
		Check.until(() -> held.length == 1, "a connect event");
		client.close();
		server.close();
		Check.throws(IOError, 2002, () -> server.pause());
	}

	function testOptions() {
		var server = new ServerSocket();
		Check.equal(0, server.getOption(SocketOption.MAX_CONNECTIONS));
		server.setOption(SocketOption.MAX_CONNECTIONS, 7);
		Check.equal(7, server.getOption(SocketOption.MAX_CONNECTIONS));
		Check.throws(RangeError, 2006, () -> server.setOption(SocketOption.MAX_CONNECTIONS, -1));
		Check.throws(ArgumentError, 2008, () -> server.setOption(cast 99, 1));
	}

	/** hxcpp's own accept leaves descriptors open to child processes. **/
	function testChildProcessesInheritNoSocket() {
		if (!sys.FileSystem.exists("/proc/self/fd")) {
			Sys.println("SKIPPED: there is no /proc here");
			return;
		}
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket));
		var client = new Socket("127.0.0.1", server.localPort);
		Check.until(() -> held.length == 1 && client.connected, "a connection");
		var child = new sys.io.Process("sh", ["-c", "ls -l /proc/self/fd | grep -c socket:"]);
		var sockets = StringTools.trim(child.stdout.readAll().toString());
		child.close();
		Check.equal("0", sockets);
		client.close();
		server.close();
	}

	/** OpenFL's select() ends at descriptor 1024. **/
	function testDescriptorsBeyond1024() {
		var held = [];
		var server = Pair.listen(e -> {
			held.push(e.socket);
			e.socket.addEventListener(ProgressEvent.SOCKET_DATA, p -> {
				var bytes = new ByteArray();
				e.socket.readBytes(bytes);
				e.socket.writeBytes(bytes);
			});
		});
		var clients = [];
		var echoed = 0;
		try {
			for (i in 0...600) {
				var client = new Socket();
				client.addEventListener(Event.CONNECT, _ -> client.writeInt(i));
				client.addEventListener(ProgressEvent.SOCKET_DATA, _ -> if (client.bytesAvailable >= 4) {
					Check.equal(i, client.readInt());
					echoed++;
				});
				client.addEventListener(IOErrorEvent.IO_ERROR, e -> throw new haxe.Exception(e.text + " " + e.osError));
				client.connect("127.0.0.1", server.localPort);
				clients.push(client);
			}
			Check.until(() -> echoed == 600, "600 echoes");
		} catch (error:IOError) {
			Check.equal(24, error.osError); // EMFILE
			Sys.println("SKIPPED: this needs `ulimit -n 2000`");
		}
		for (client in clients)
			if (client.connected)
				client.close();
		server.close();
		Check.settle();
	}
}
