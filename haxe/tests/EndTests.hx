// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

/** The ends of connections and servers that AIR has no names for: halves, deadlines, and a server that leaves in peace. **/
@:keep
class EndTests {
	public function new() {}

	/** The peer reads all, meets the end, and still answers. **/
	function testAfterShutdownThePeerMeetsTheEndAndCanStillAnswer() {
		var heard = [];
		var pair = new Pair(socket -> socket.addEventListener(Event.CLOSE, _ -> heard.push("close")));
		pair.socket.writeUTFBytes("question");
		pair.socket.shutdown();
		pair.socket.shutdown(); // nothing happens
		Check.throws(IOError, 2002, () -> pair.socket.writeByte(1));
		Check.equal("question", pair.receive(100).toString()); // and the end
		Check.equal(true, pair.socket.connected);
		pair.send(Bytes.ofString("answer"));
		Check.equal("answer", pair.socket.readUTFBytes(6));
		Check.list([], heard);
		pair.client.close();
		Check.until(() -> heard.length == 1, "close, when the peer has ended its side");
		Check.equal(0, pair.socket.closeError);
		Check.throws(IOError, 2002, () -> pair.socket.shutdown());
		pair.close();
	}

	function testShutdownBeforeTheConnection() {
		Check.throws(IOError, 2002, () -> new Socket().shutdown());
		var server = Pair.listen();
		var connecting = new Socket("127.0.0.1", server.localPort);
		Check.throws(IOError, 2002, () -> connecting.shutdown());
		connecting.close();
		server.close();
	}

	function testAHalfOpenConnectionTellsOfTheEndAndGoesOn() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.setOption(SocketOption.HALF_OPEN, 1);
			socket.addEventListener(SocketEvent.END, (e:SocketEvent) -> heard.push('${e.type} ${e.target == socket} ${socket.bytesAvailable}'));
			socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		});
		pair.client.output.writeString("hello");
		pair.client.shutdown(false, true);
		Check.until(() -> heard.length > 0, "the peer's end");
		Check.settle();
		Check.list(["end true 5"], heard); // after all that it has sent
		Check.equal(true, pair.socket.connected);
		pair.socket.writeUTFBytes(pair.socket.readUTFBytes(5));
		pair.socket.shutdown();
		Check.equal("hello", pair.receive(100).toString());
		Check.until(() -> heard.length == 2, "close, when both have ended");
		Check.list(["end true 5", "close"], heard);
		pair.close();
	}

	/** As AIR has it. **/
	function testWithoutTheOptionThePeersEndIsTheConnections() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.addEventListener(SocketEvent.END, _ -> heard.push("end"));
			socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		});
		pair.client.shutdown(false, true);
		Check.until(() -> heard.length > 0, "the peer's end");
		Check.list(["close"], heard);
		pair.close();
	}

	function testTheEventOfAnEndIsClonedWithItsClass() {
		var event = new SocketEvent(SocketEvent.END);
		Check.equal("serversocket.SocketEvent", Type.getClassName(Type.getClass(event.clone())));
		Check.equal('[SocketEvent type="end" bubbles=false cancelable=false eventPhase=2]', event.toString());
	}

	/** What we write does not count. **/
	function testAPeerThatSendsNothingIsGivenUpByTheReadTimeout() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.setOption(SocketOption.READ_TIMEOUT, 40);
			socket.addEventListener(IOErrorEvent.IO_ERROR, e -> heard.push('${e.osError != 0} ${e.detail.indexOf("127.0.0.1:") >= 0}'));
			socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		});
		Check.until(() -> {
			if (pair.socket.connected)
				pair.socket.writeByte(1);
			return heard.length == 2;
		}, "the time-out");
		Check.list(["true true", "close"], heard);
		Check.isTrue(pair.socket.closeError != 0, "how it has ended");
		pair.close();
	}

	// ---- drain ----

	function testADrainedServerGivesItsPortBackAndClosesBehindItsLastConnection() {
		var heard = [];
		var pair = new Pair();
		pair.server.addEventListener(Event.CLOSE, _ -> heard.push('close ${pair.server.closeError}'));
		var port = pair.server.localPort;
		pair.server.drain(60000);
		Check.until(() -> !pair.server.bound, "the port is given back");
		var second = new ServerSocket();
		second.bind(port, "127.0.0.1");
		second.close();
		pair.send(Bytes.ofString("hello"));
		pair.socket.writeUTFBytes(pair.socket.readUTFBytes(5));
		Check.equal("hello", pair.receive(5).toString());
		Check.list([], heard);
		pair.socket.close();
		pair.client.close();
		Check.until(() -> heard.length > 0, "close on the server");
		Check.list(["close 0"], heard);
		Check.throws(Error, 2002, () -> pair.server.drain(1));
		pair.close();
	}

	function testWhoWaitsToBeConnectedIsStillAccepted() {
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket));
		var clients = [for (_ in 0...5) Pair.connect(server.localPort)];
		server.drain(60000);
		Check.until(() -> !server.bound, "the port is given back");
		Check.equal(5, held.length);
		for (client in clients)
			client.close();
		Check.until(() -> server.closeError == 0 && Lambda.foreach(held, socket -> !socket.connected), "all have ended");
	}

	function testWhatIsLeftAtTheDeadlineIsReset() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.addEventListener(IOErrorEvent.IO_ERROR, e -> heard.push('ioError ${e.osError != 0}'));
			socket.addEventListener(Event.CLOSE, _ -> heard.push("socket's close"));
		});
		pair.server.addEventListener(Event.CLOSE, _ -> heard.push('close ${pair.server.closeError != 0}'));
		Check.throws(RangeError, 2006, () -> pair.server.drain(-1));
		pair.server.drain(20);
		Check.until(() -> heard.length == 3, "the deadline");
		Check.list(["ioError true", "socket's close", "close true"], heard);
		pair.close();
	}

	function testAServerThatIsNotBoundCannotBeDrained() {
		Check.throws(Error, 2002, () -> new ServerSocket().drain(1000));
		var server = new ServerSocket();
		var heard = [];
		server.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		server.bind(0, "127.0.0.1"); // bound will do
		server.drain(1000);
		Check.until(() -> heard.length == 1, "close, since it has no connections");
	}

	function testCloseEndsADrainWithoutAnEvent() {
		var heard = [];
		var pair = new Pair();
		pair.server.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		pair.server.drain(60000);
		pair.server.close();
		pair.socket.close();
		Check.settle();
		Check.list([], heard);
		pair.close();
	}
}
