// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.Int64;
import serversocket.*;

/** What programs that were written for OpenFL or AIR do besides. **/
@:keep
class OpenflTests {
	public function new() {}

	function testEventConnectIsTheServersTooForListenersOfEitherEvent() {
		var heard = [];
		var server = new ServerSocket();
		var onConnect = (e:ServerSocketConnectEvent) -> heard.push('method ${e.socket.connected}');
		server.addEventListener(Event.CONNECT, (e:ServerSocketConnectEvent) -> heard.push('closure ${e.socket.connected}'));
		server.addEventListener(Event.CONNECT, onConnect);
		server.addEventListener(Event.CONNECT, e -> heard.push(e.type));
		server.bind(0, "127.0.0.1");
		server.listen();
		var first = Pair.connect(server.localPort);
		Check.until(() -> heard.length == 3, "a connect event");
		Check.list(["closure true", "method true", "connect"], heard);
		server.removeEventListener(Event.CONNECT, onConnect);
		var second = Pair.connect(server.localPort);
		Check.until(() -> heard.length >= 5, "another one");
		Check.settle();
		Check.equal(5, heard.length);
		server.close();
		first.close();
		second.close();
	}

	#if cpp
	/** As programs that were converted from ActionScript have them. neko knows no properties of what is Dynamic. **/
	function testPropertiesAreThereForThoseWhoKnowNoType() {
		var server:Dynamic = new ServerSocket();
		Check.equal(false, server.bound);
		server.bind(0, "127.0.0.1");
		server.listen();
		Check.equal(true, server.bound);
		Check.equal(true, server.listening);
		Check.equal("127.0.0.1", server.localAddress);
		Check.isTrue(server.localPort > 0, "a port");
		var pair = new Pair();
		var socket:Dynamic = pair.socket;
		Check.equal(true, socket.connected);
		Check.equal(0, socket.bytesAvailable);
		Check.equal("127.0.0.1", socket.remoteAddress);
		socket.timeout = 7;
		Check.equal(7, pair.socket.timeout);
		pair.close();
		server.close();
	}
	#end

	function testAnOwnClassImplementsIDataInputWithOpenflsSignatures() {
		var input:IDataInput = new Zeros();
		Check.equal(0, input.readInt());
		input.objectEncoding = ObjectEncoding.AMF0;
		Check.equal(ObjectEncoding.AMF0, input.objectEncoding);
	}

	function testAConstructorTakesNoPortThatIsNone() {
		Check.throws(SecurityError, 2003, () -> new Socket("127.0.0.1", -5));
		Check.throws(SecurityError, 2003, () -> new Socket("127.0.0.1", 65536));
		Check.equal(false, new Socket("127.0.0.1", 0).connected); // no port is given
	}

	function testErrorsExplainThemselvesInEveryWay() {
		var server = new ServerSocket();
		server.bind(0, "127.0.0.1");
		var error = Check.throws(IOError, 2002, () -> server.bind(0, "127.0.0.1"));
		Check.isTrue(ErrorDetail.of(error) != "", "a detail");
		Check.equal(error.detail, ErrorDetail.of(error));
		var second = new ServerSocket();
		error = Check.throws(IOError, 2002, () -> second.bind(server.localPort, "127.0.0.1"));
		Check.isTrue(ErrorDetail.osErrorOf(error) > 0, "the system's number");
		Check.equal("", ErrorDetail.of(new haxe.Exception("")));
		server.close();
	}

	function testHaxesOwnFormatIsThatOfOpenflsSocket() {
		var pair = new Pair();
		Check.throws(ArgumentError, 2008, () -> {
			pair.socket.objectEncoding = cast 12;
			pair.socket.writeObject(1);
		});
		pair.socket.objectEncoding = ObjectEncoding.HXSF;
		var object = {name: "Ann", list: [1, 2]};
		pair.socket.writeObject(object);
		var text = haxe.Serializer.run(object);
		var sent = pair.receive(2 + text.length);
		Check.equal(text.length, sent.get(0) << 8 | sent.get(1));
		Check.equal(text, sent.getString(2, text.length));
		pair.send(sent.sub(0, 5));
		Check.throws(EOFError, 2030, () -> pair.socket.readObject());
		Check.equal(5, pair.socket.bytesAvailable);
		pair.send(sent.sub(5, sent.length - 5));
		Check.equal("Ann", pair.socket.readObject().name);
		pair.send(haxe.io.Bytes.ofString("\x00\x01?"));
		Check.throws(ArgumentError, 2004, () -> pair.socket.readObject());
		Check.throws(RangeError, 2006, () -> pair.socket.writeObject([for (i in 0...30000) i]));
		pair.close();
	}

	/** The usual way to read messages with a length in front. Only what is within the limit can be waited for. **/
	function testALongMessageIsReadInOnePiece() {
		final size = 2000000;
		var message:ByteArray = null;
		var pair = new Pair(socket -> {
			socket.setOption(SocketOption.READ_LIMIT, 4 << 20);
			var length = -1;
			socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				if (length < 0) {
					if (socket.bytesAvailable < 4)
						return;
					length = socket.readInt();
				}
				if (socket.bytesAvailable < length)
					return;
				message = new ByteArray();
				socket.readBytes(message, 0, length);
			});
		});
		pair.client.setBlocking(false);
		var bytes = new ByteArray();
		bytes.endian = Endian.BIG_ENDIAN;
		bytes.writeInt(size);
		bytes.writeBytes(Check.pattern(size));
		var whole = bytes.toBytes();
		var sent = 0;
		Check.until(() -> {
			try {
				while (sent < whole.length)
					sent += pair.client.output.writeBytes(whole, sent, whole.length - sent);
			} catch (_:haxe.Exception) {} // the peer has to read first
			return message != null;
		}, "the message");
		Check.equal(0, message.toBytes().compare(Check.pattern(size)));
		pair.close();
	}

	function testWholeNumbersOf64Bits() {
		for (endian in [Endian.BIG_ENDIAN, Endian.LITTLE_ENDIAN]) {
			var bytes = new ByteArray();
			bytes.endian = endian;
			bytes.writeInt64(Int64.make(0x01020304, 0x85060708));
			Check.equal(8, bytes.length);
			Check.equal(endian == BIG_ENDIAN ? 1 : 8, bytes[0]);
			bytes.position = 0;
			Check.equal(0x01020304, bytes.readInt64().high);
			bytes.position = 1;
			Check.throws(EOFError, 2030, () -> bytes.readInt64());
			Check.equal(1, (bytes.position : Int));
		}
	}

	function testTheDefaultObjectEncodingOfByteArrays() {
		Check.equal(ObjectEncoding.AMF3, ByteArray.defaultObjectEncoding);
		ByteArray.defaultObjectEncoding = ObjectEncoding.AMF0;
		Check.equal(ObjectEncoding.AMF0, new ByteArray().objectEncoding);
		ByteArray.defaultObjectEncoding = ObjectEncoding.AMF3;
	}

	function testAnXMLSocketSplitsWhatArrivesAtItsZeros() {
		var accepted:Socket = null;
		var server = Pair.listen(e -> accepted = e.socket);
		var socket = new XMLSocket();
		var heard = [];
		for (type in [Event.CONNECT, Event.CLOSE])
			socket.addEventListener(type, e -> heard.push('${e.type} ${e.target == socket} ${socket.connected}'));
		socket.addEventListener(DataEvent.DATA, e -> heard.push(e.data));
		Check.throws(IOError, 2002, () -> socket.send("x"));
		socket.connect("127.0.0.1", server.localPort);
		Check.until(() -> accepted != null && socket.connected, "a connection");
		socket.send(Xml.parse("<a/>"));
		Check.until(() -> accepted.bytesAvailable == 5, "a message");
		Check.equal("<a/>", accepted.readUTFBytes(4));
		Check.equal(0, accepted.readByte());
		accepted.writeUTFBytes("on");
		accepted.flush();
		Check.settle();
		accepted.writeUTFBytes("e\x00tw\u00f6\x00\x00rest");
		accepted.flush();
		Check.until(() -> heard.length == 4, "three messages");
		accepted.writeByte(0);
		accepted.close();
		Check.until(() -> heard.length == 6, "the last one, and the end");
		Check.list(["connect true true", "one", "tw\u00f6", "", "rest", "close true false"], heard);
		server.close();
	}

	function testAnXMLSocketThatIsRefusedSaysSo() {
		var free = Pair.listen();
		var port = free.localPort;
		free.close();
		var socket = new XMLSocket();
		socket.timeout = 5000;
		Check.equal(5000, socket.timeout);
		var told = Check.uncaughtIn(() -> {
			socket.connect("127.0.0.1", port);
			Check.settle();
		});
		Check.equal(1, told.length);
		var heard = [];
		socket.addEventListener(IOErrorEvent.IO_ERROR, e -> heard.push(e.errorID));
		socket.connect("127.0.0.1", port);
		Check.until(() -> heard.length == 1, "an ioError");
		Check.equal(2031, heard[0]);
	}

	function testNamesThatProgramsDispatchThemselves() {
		var heard = [];
		var dispatcher = new EventDispatcher();
		for (type in [Event.COMPLETE, Event.CHANGE, Event.OPEN, Event.CANCEL, Event.INIT, Event.SELECT]) {
			dispatcher.addEventListener(type, e -> heard.push(e.type));
			dispatcher.dispatchEvent(new Event(type));
		}
		Check.list(["complete", "change", "open", "cancel", "init", "select"], heard);
		Check.equal("IllegalOperationError: no", new IllegalOperationError("no").toString());
	}
}

/** OpenFL's signatures: unsigned where it has them, a plain objectEncoding. **/
private class Zeros implements IDataInput {
	public var bytesAvailable(get, never):UInt;
	public var endian(get, set):Endian;
	public var objectEncoding:ObjectEncoding;

	public function new() {}

	function get_bytesAvailable():UInt
		return 0;

	function get_endian():Endian
		return BIG_ENDIAN;

	function set_endian(value:Endian):Endian
		return value;

	public function readBoolean():Bool
		return false;

	public function readByte():Int
		return 0;

	public function readBytes(bytes:ByteArray, offset:UInt = 0, length:Int = 0):Void {}

	public function readDouble():Float
		return 0;

	public function readFloat():Float
		return 0;

	public function readInt():Int
		return 0;

	public function readMultiByte(length:UInt, charSet:String):String
		return "";

	public function readObject():Dynamic
		return null;

	public function readShort():Int
		return 0;

	public function readUnsignedByte():Int
		return 0;

	public function readUnsignedInt():Int
		return 0;

	public function readUnsignedShort():Int
		return 0;

	public function readUTF():String
		return "";

	public function readUTFBytes(length:Int):String
		return "";
}
