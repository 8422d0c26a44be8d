// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

@:keep
class SocketTests {
	public function new() {}

	/** OpenFL crashes on `bytesAvailable`. **/
	function testANewSocketIsNothingYet() {
		var socket = new Socket();
		Check.equal(false, socket.connected);
		Check.equal(0, socket.bytesAvailable);
		Check.equal(0, socket.bytesPending);
		Check.equal(null, socket.localAddress);
		Check.equal(null, socket.remoteAddress);
		Check.equal(0, socket.localPort);
		Check.equal(0, socket.remotePort);
		Check.equal(Endian.BIG_ENDIAN, socket.endian);
		Check.equal(ObjectEncoding.AMF3, socket.objectEncoding);
		Check.equal(20000, socket.timeout);
		Check.equal("[object Socket]", socket.toString());
	}

	function testNothingCanBeDoneWithoutAConnection() {
		everythingFails(new Socket());
		var pair = new Pair();
		pair.socket.close();
		everythingFails(pair.socket);
		pair.close();
		var connecting = new Socket("127.0.0.1", Pair.listen().localPort);
		for (call in calls(connecting).slice(1)) // the first is close, which gives the attempt up
			Check.throws(IOError, 2002, call);
		connecting.close();
	}

	function everythingFails(socket:Socket) {
		for (call in calls(socket))
			Check.throws(IOError, 2002, call);
	}

	function calls(socket:Socket):Array<() -> Void> {
		return [
			socket.close, socket.flush, () -> socket.readBoolean(), () -> socket.readByte(), () -> socket.readBytes(new ByteArray()),
			() -> socket.readBytes(new ByteArray(), 0, 5), () -> socket.readDouble(), () -> socket.readFloat(), () -> socket.readInt(),
			() -> socket.readMultiByte(1, "utf-8"), () -> socket.readShort(), () -> socket.readUnsignedByte(), () -> socket.readUnsignedInt(),
			() -> socket.readUnsignedShort(), () -> socket.readUTF(), () -> socket.readUTFBytes(1), () -> socket.writeBoolean(true),
			() -> socket.writeByte(1), () -> socket.writeBytes(Bytes.ofString("x")), () -> socket.writeDouble(1), () -> socket.writeFloat(1),
			() -> socket.writeInt(1), () -> socket.writeMultiByte("x", "utf-8"), () -> socket.writeShort(1), () -> socket.writeUnsignedInt(1),
			() -> socket.writeUTF("x"), () -> socket.writeUTF("x\x00"), () -> socket.writeUTFBytes("x")
		];
	}

	/** OpenFL crashes on null. **/
	function testConnectingToNoHost() {
		var socket = new Socket();
		Check.throws(IOError, 2002, () -> socket.connect(null, 80));
		Check.throws(IOError, 2002, () -> socket.connect("", 80));
		Check.equal(false, new Socket(null, 80).connected); // as if there were no arguments
	}

	function testPortsOutOfRange() {
		var socket = new Socket();
		for (port in [-1, 65536, 2147483647]) {
			var error = Check.throws(SecurityError, 2003, () -> socket.connect("127.0.0.1", port));
			Check.equal("Invalid socket port number specified.", error.message);
		}
		Check.throws(SecurityError, 2003, () -> new Socket("127.0.0.1", 65536));
	}

	/** OpenFL reports it after 20 s. **/
	function testARefusedConnectionIsReportedAtOnce() {
		var server = Pair.listen();
		var port = server.localPort;
		server.close();
		var errors:Array<IOErrorEvent> = [];
		var socket = new Socket();
		socket.timeout = 3600000; // it must not be this that reports it
		socket.addEventListener(IOErrorEvent.IO_ERROR, e -> errors.push(e));
		socket.connect("127.0.0.1", port);
		Check.equal(0, errors.length); // never from inside of connect
		Check.until(() -> errors.length > 0, "an ioError");
		Check.equal("Error #2031: Socket Error.", errors[0].text);
		Check.equal(2031, errors[0].errorID);
		Check.isTrue(errors[0].osError != 0, "the system's number");
		Check.equal(false, errors[0].bubbles);
		Check.equal(false, socket.connected);
	}

	/** OpenFL never tries. **/
	function testTheConstructorConnectsToPort65535() {
		var errors = 0;
		var socket = new Socket("127.0.0.1", 65535);
		var connected = false;
		socket.addEventListener(IOErrorEvent.IO_ERROR, _ -> errors++);
		socket.addEventListener(Event.CONNECT, _ -> connected = true);
		Check.until(() -> errors > 0 || connected, "an attempt");
	}

	function testAnIoErrorThatNobodyHearsIsReported() {
		var server = Pair.listen();
		var port = server.localPort;
		server.close();
		var told = [];
		var before = EventDispatcher.uncaught;
		EventDispatcher.uncaught = error -> told.push(Std.string(error));
		var socket = new Socket("127.0.0.1", port);
		Check.until(() -> told.length > 0, "a report");
		EventDispatcher.uncaught = before;
		Check.list(["Error: Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error."], told);
		Check.equal(false, socket.connected);
	}

	function testConnectedIsTrueInTheConnectListenerAndNotBefore() {
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket));
		var socket = new Socket("127.0.0.1", server.localPort);
		var seen = [];
		socket.addEventListener(Event.CONNECT, e -> seen.push(socket.connected && e.target == socket));
		Check.equal(false, socket.connected);
		Check.until(() -> seen.length > 0, "a connect event");
		Check.list([true], seen);
		Check.equal(server.localPort, socket.remotePort);
		socket.close();
		Check.equal(false, socket.connected);
		server.close();
	}

	/** Whether there is room for less, for as much, or for more: also when the connection is over. **/
	function testAllIsReadIntoWhateverRoomThereIs() {
		for (room in [0, 3, 5, 9])
			for (isOver in [false, true]) {
				var pair = new Pair();
				pair.send(Bytes.ofString("hello"));
				if (isOver) {
					pair.client.close();
					Check.until(() -> !pair.socket.connected, "the end");
				}
				var bytes = new ByteArray();
				bytes.length = room;
				bytes.length = 0;
				pair.socket.readBytes(bytes);
				Check.equal("hello", bytes.toString());
				Check.equal(0, pair.socket.bytesAvailable);
				bytes = new ByteArray();
				bytes.writeUTFBytes("abcdef");
				if (!isOver) {
					pair.send(Bytes.ofString("HELLO"));
					pair.socket.readBytes(bytes, room);
					Check.equal(room < 6 ? "abcdef".substr(0, room) + "HELLO" + "abcdef".substr(room + 5) : "abcdef\x00\x00\x00HELLO", bytes.toString());
				}
				pair.close();
			}
	}

	function testASocketCanConnectAgain() {
		var held = [];
		var server = Pair.listen(e -> held.push(e.socket));
		var heard = [];
		var socket = new Socket();
		socket.endian = Endian.LITTLE_ENDIAN;
		socket.addEventListener(Event.CONNECT, _ -> heard.push("connect"));
		socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		socket.connect("localhost", server.localPort);
		Check.until(() -> heard.length == 1, "a connection");
		socket.connect("127.0.0.1", server.localPort); // while it is connected
		Check.equal(false, socket.connected);
		Check.until(() -> heard.length == 2, "a second one");
		socket.close();
		socket.connect("127.0.0.1", server.localPort);
		Check.until(() -> heard.length == 3, "a third one");
		Check.list(["connect", "connect", "connect"], heard);
		Check.equal(Endian.LITTLE_ENDIAN, socket.endian);
		socket.close();
		server.close();
	}

	/** In OpenFL the close event comes first, and takes the data with it. **/
	function testAllDataComesBeforeTheCloseEvent() {
		for (size in [1, 1000, 300000]) {
			var sent = Check.pattern(size);
			var received = new ByteArray();
			var heard = [];
			var pair = new Pair(socket -> {
				socket.addEventListener(ProgressEvent.SOCKET_DATA, e -> {
					Check.equal(e.bytesLoaded, socket.bytesAvailable);
					Check.equal(true, socket.connected);
					socket.readBytes(received, received.length);
				});
				socket.addEventListener(Event.CLOSE, _ -> {
					heard.push('close after ${received.length}');
					Check.equal(false, socket.connected);
				});
			});
			Check.list([], Check.uncaughtIn(() -> {
				pair.client.output.write(sent);
				pair.client.close();
				Check.until(() -> heard.length > 0, "a close event");
				Check.settle();
			}));
			Check.list(['close after $size'], heard);
			Check.equal(0, sent.compare(received));
			pair.close();
		}
	}

	function testWhatHasArrivedCanBeReadInTheCloseListenerAndAfterIt() {
		var text = "";
		var pair = new Pair(socket -> socket.addEventListener(Event.CLOSE, _ -> text += socket.readUTFBytes(2)));
		pair.client.output.writeString("hello");
		pair.client.close();
		Check.until(() -> text != "", "a close event");
		Check.equal("hello", text + pair.socket.readUTFBytes(3));
		Check.throws(IOError, 2002, () -> pair.socket.readByte());
		pair.close();
	}

	/** As `nc -N` and many HTTP clients do: the answer is still wanted. **/
	function testAPeerThatHasFinishedSendingGetsItsAnswer() {
		var pair = new Pair(socket -> socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> socket.writeUTFBytes(socket.readUTFBytes(5))));
		Check.list([], Check.uncaughtIn(() -> {
			pair.client.output.writeString("hello");
			pair.client.shutdown(false, true);
			Check.equal("hello", pair.receive(100).toString());
		}));
		pair.close();
	}

	/** OpenFL drops what the kernel refuses: 3.9 of these 20 MB arrive. **/
	function testALargeWriteArrivesWhole() {
		var sent = Check.pattern(20 << 20);
		var pair = new Pair();
		pair.socket.writeBytes(sent);
		pair.socket.flush();
		Check.isTrue(pair.socket.bytesPending > 0, "the kernel does not take it all at once");
		pair.socket.close(); // and still all arrives
		var received = pair.receive(sent.length + 1);
		Check.equal(sent.length, received.length);
		Check.equal(0, sent.compare(received));
		pair.close();
	}

	/** OpenFL never dispatches it. **/
	function testOutputProgressTellsWhatIsStillToBeSent() {
		var events:Array<OutputProgressEvent> = [];
		var pair = new Pair(socket -> socket.addEventListener(OutputProgressEvent.OUTPUT_PROGRESS, e -> events.push(e)));
		pair.socket.writeBytes(Check.pattern(8 << 20));
		pair.receive(8 << 20);
		Check.until(() -> events.length > 0 && events[events.length - 1].bytesPending == 0, "the last outputProgress");
		Check.equal(8.0 * (1 << 20), events[events.length - 1].bytesTotal);
		Check.equal(0, pair.socket.bytesPending);
		pair.close();
	}

	/** OpenFL never dispatches it for an own end either; AIR says so. **/
	function testNoEventFollowsAnOwnClose() {
		var heard = [];
		var pair = new Pair(socket -> {
			socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
			socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				heard.push("data");
				socket.close();
			});
		});
		pair.client.output.writeString("x");
		Check.until(() -> heard.length > 0, "data");
		pair.client.close();
		Check.settle();
		Check.list(["data"], heard);
		pair.close();
	}

	function testTheCloseEventComesOnce() {
		var heard = [];
		var pair = new Pair(socket -> socket.addEventListener(Event.CLOSE, e -> heard.push(e.toString())));
		pair.client.close();
		Check.until(() -> heard.length > 0, "a close event");
		Check.settle();
		Check.list(['[Event type="close" bubbles=false cancelable=false eventPhase=2]'], heard);
		pair.close();
	}

	function testACloseSaysHowTheConnectionHasEnded() {
		for (broken in [false, true]) {
			var seen = [];
			var pair = new Pair(socket -> socket.addEventListener(Event.CLOSE, _ -> seen.push(socket.closeError != 0)));
			Check.equal(0, pair.socket.closeError);
			if (broken) {
				pair.socket.writeByte(1); // which the client leaves unread, so that its close is a reset
				pair.socket.flush();
				Check.until(() -> sys.net.Socket.select([pair.client], [], [], 0).read.length > 0, "the byte");
			}
			pair.client.close();
			Check.until(() -> seen.length > 0, "a close event");
			Check.list([broken], seen);
			pair.close();
		}
	}

	function testAWriteBeyondTheLimitIsRefusedWhole() {
		var pair = new Pair();
		pair.socket.setOption(SocketOption.WRITE_LIMIT, 1000);
		Check.throws(RangeError, 2006, () -> pair.socket.writeBytes(Check.pattern(1001)));
		Check.equal(0, pair.socket.bytesPending);
		pair.socket.writeBytes(Check.pattern(1000));
		Check.throws(IOError, 0, () -> pair.socket.writeByte(0));
		Check.equal(1000, pair.receive(1000).length);
		pair.close();
	}

	function testAPausedSocketDoesNotRead() {
		var heard = [];
		var pair = new Pair(socket -> socket.addEventListener(ProgressEvent.SOCKET_DATA, e -> heard.push(e.bytesLoaded)));
		pair.socket.pause();
		pair.client.output.writeString("x");
		Check.settle();
		Check.equal(0, heard.length);
		pair.socket.resume();
		Check.until(() -> heard.length == 1, "the byte");
		pair.close();
	}

	/** The peer must see a reset, which Haxe's own socket reports as an error or an end. **/
	function testAbortEndsTheConnection() {
		var pair = new Pair();
		pair.socket.abort();
		Check.equal(false, pair.socket.connected);
		var read = try pair.receive(1).length catch (_:haxe.Exception) 0;
		Check.equal(0, read);
		pair.close();
	}

	function testPollInsideOfAListenerIsAnError() {
		var seen:Error = null;
		var pair = new Pair(socket -> seen = Check.throws(Error, 0, () -> Pump.poll(0)));
		Check.isTrue(seen != null && seen.detail != "", "it says why");
		pair.close();
	}

	function testSocketsDispatchEventsOfTheProgramsOwn() {
		var heard = [];
		for (dispatcher in [new Socket(), (new ServerSocket() : EventDispatcher)]) {
			Check.throws(TypeError, 2007, () -> dispatcher.addEventListener(null, _ -> {}));
			Check.throws(TypeError, 2007, () -> dispatcher.addEventListener(Event.CLOSE, null));
			dispatcher.removeEventListener(null, null);
			dispatcher.addEventListener("mine", (e:Event) -> heard.push(e.target == dispatcher));
			dispatcher.addEventListener(Event.CLOSE, e -> heard.push(e.target == dispatcher));
			dispatcher.dispatchEvent(new Event("mine"));
			dispatcher.dispatchEvent(new Event(Event.CLOSE));
		}
		Check.list([true, true, true, true], heard);
	}

	function testTimeoutAndNumbersOutOfRange() {
		var socket = new Socket();
		socket.timeout = 5;
		Check.equal(5, socket.timeout);
		Check.throws(ArgumentError, 2008, () -> socket.endian = null);
		Check.throws(ArgumentError, 2008, () -> socket.endian = cast 7);
		socket.objectEncoding = cast 5; // a plain variable, as OpenFL's: what is wrong is said when it is used
		Check.throws(ArgumentError, 2008, () -> socket.writeObject(1));
		Check.throws(ArgumentError, 2008, () -> socket.readObject());
		socket.objectEncoding = ObjectEncoding.AMF0;
		Check.equal(ObjectEncoding.AMF0, socket.objectEncoding);
	}
}
