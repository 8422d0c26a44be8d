// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

/** Typed reads and writes of a Socket. **/
@:keep
class DataTests {
	public function new() {}

	function bytesWritten(endian:Endian, write:Socket->Void):String {
		var pair = new Pair();
		pair.socket.endian = endian;
		write(pair.socket);
		pair.socket.close();
		var hex = pair.receive(1000).toHex();
		pair.close();
		return hex;
	}

	function writeAll(socket:Socket) {
		socket.writeBoolean(true);
		socket.writeByte(-2);
		socket.writeByte(0x1FF);
		socket.writeShort(-3);
		socket.writeShort(0x12345);
		socket.writeInt(-4);
		socket.writeUnsignedInt(0xFEDCBA98);
		socket.writeFloat(1.5);
		socket.writeDouble(-2.25);
		socket.writeUTF("é");
		socket.writeUTFBytes("ü");
	}

	function testNumbersAreWrittenInEitherOrder() {
		Check.equal("01feff" + "fffd2345" + "fffffffc" + "fedcba98" + "3fc00000" + "c002000000000000" + "0002c3a9" + "c3bc",
			bytesWritten(Endian.BIG_ENDIAN, writeAll));
		Check.equal("01feff" + "fdff4523" + "fcffffff" + "98badcfe" + "0000c03f" + "00000000000002c0" + "0200c3a9" + "c3bc",
			bytesWritten(Endian.LITTLE_ENDIAN, writeAll));
	}

	function testNumbersAreReadInEitherOrder() {
		var pair = new Pair();
		for (endian in [Endian.BIG_ENDIAN, Endian.LITTLE_ENDIAN]) {
			var sent = new ByteArray();
			sent.endian = endian;
			for (value in [1, 0x80, 0xFE])
				sent.writeByte(value);
			sent.writeShort(-3);
			sent.writeShort(0xFFFD);
			sent.writeInt(-4);
			sent.writeInt(-5);
			sent.writeFloat(1.5);
			sent.writeDouble(-2.25);
			sent.writeUTF("é");
			pair.send(sent);
			pair.socket.endian = endian;
			Check.equal(true, pair.socket.readBoolean());
			Check.equal(-128, pair.socket.readByte());
			Check.equal(254, pair.socket.readUnsignedByte());
			Check.equal(-3, pair.socket.readShort());
			Check.equal(0xFFFD, pair.socket.readUnsignedShort());
			Check.equal(-4, pair.socket.readInt());
			Check.equal(-5, pair.socket.readUnsignedInt());
			Check.equal(1.5, pair.socket.readFloat());
			Check.equal(-2.25, pair.socket.readDouble());
			Check.equal("é", pair.socket.readUTF());
			Check.equal(0, pair.socket.bytesAvailable);
		}
		pair.close();
	}

	function testAReadThatLacksBytesConsumesNone() {
		var pair = new Pair();
		pair.send(Bytes.ofHex("000541"));
		var socket = pair.socket;
		var target = new ByteArray(2);
		var calls:Array<() -> Void> = [
			() -> socket.readInt(), () -> socket.readUnsignedInt(), () -> socket.readFloat(), () -> socket.readDouble(), () -> socket.readUTF(),
			() -> socket.readUTFBytes(4), () -> socket.readMultiByte(4, "iso-8859-1"), () -> socket.readBytes(target, 0, 4)
		];
		for (call in calls) {
			var error = Check.throws(EOFError, 2030, call);
			Check.equal("End of file was encountered.", error.message);
			Check.equal(3, socket.bytesAvailable);
		}
		Check.equal(2, target.length);
		socket.readShort();
		Check.throws(EOFError, 2030, () -> socket.readShort());
		socket.readByte();
		Check.throws(EOFError, 2030, () -> socket.readByte());
		Check.throws(EOFError, 2030, () -> socket.readBoolean());
		pair.close();
	}

	function testReadBytesGrowsItsTargetAndLeavesThePosition() {
		var pair = new Pair();
		pair.send(Bytes.ofString("hello"));
		var bytes = new ByteArray();
		pair.socket.readBytes(bytes, 3, 2);
		Check.equal("000000" + "6865", (bytes : Bytes).toHex());
		Check.equal(0, bytes.position);
		pair.socket.readBytes(bytes, 1); // all that is left
		Check.equal("006c6c6f65", (bytes : Bytes).toHex());
		pair.socket.readBytes(bytes); // nothing is there, which is no error
		Check.equal(5, bytes.length);
		Check.throws(TypeError, 2007, () -> pair.socket.readBytes(null));
		Check.throws(RangeError, 2006, () -> pair.socket.readBytes(bytes, -1));
		Check.throws(RangeError, 2006, () -> pair.socket.readBytes(bytes, 0, -1));
		pair.close();
	}

	function testWriteBytesTakesApart() {
		var pair = new Pair();
		var bytes:ByteArray = Bytes.ofString("hello");
		pair.socket.writeBytes(bytes);
		pair.socket.writeBytes(bytes, 3);
		pair.socket.writeBytes(bytes, 1, 2);
		pair.socket.writeBytes(bytes, 5); // nothing
		pair.socket.writeBytes(new ByteArray());
		for (range in [[6, 0], [-1, 0], [0, -1], [0, 6], [4, 2], [1, 2147483647]])
			Check.throws(RangeError, 2006, () -> pair.socket.writeBytes(bytes, range[0], range[1]));
		Check.throws(TypeError, 2007, () -> pair.socket.writeBytes(null));
		pair.socket.close();
		Check.equal("hello" + "lo" + "el", pair.receive(100).toString());
		pair.close();
	}

	/** OpenFL writes the length modulo 65536, and the stream is broken. **/
	function testATextThatIsTooLongForWriteUTF() {
		var pair = new Pair();
		var longest = StringTools.rpad("", "x", 65535);
		Check.throws(RangeError, 2006, () -> pair.socket.writeUTF(longest + "x"));
		Check.throws(RangeError, 2006, () -> pair.socket.writeUTF(longest + "\x00"));
		Check.equal(0, pair.socket.bytesPending);
		pair.socket.writeUTF(longest);
		Check.equal(65537, pair.receive(65537).length);
		pair.close();
	}

	function testTextsMayContainNul() {
		Check.equal("0003610062" + "610062", bytesWritten(Endian.BIG_ENDIAN, socket -> {
			socket.writeUTF("a\x00b");
			socket.writeUTFBytes("a\x00b");
		}));
		Check.equal("0300610062", bytesWritten(Endian.LITTLE_ENDIAN, socket -> socket.writeUTF("a\x00b")));
		var pair = new Pair();
		Check.throws(ArgumentError, 2004, () -> pair.socket.writeMultiByte("a\x00b", "shift_jis"));
		pair.close();
	}

	function testNullTexts() {
		var pair = new Pair();
		Check.throws(TypeError, 2007, () -> pair.socket.writeUTF(null));
		Check.throws(TypeError, 2007, () -> pair.socket.writeUTFBytes(null));
		Check.throws(TypeError, 2007, () -> pair.socket.writeMultiByte(null, "utf-8"));
		pair.socket.writeMultiByte("é", null); // UTF-8
		Check.equal("c3a9", pair.receive(2).toHex());
		pair.close();
	}

	function testMalformedTextIsReplaced() {
		var pair = new Pair();
		pair.send(Bytes.ofHex("0003" + "61ff62" + "61ff62"));
		Check.equal("a\u{FFFD}b", pair.socket.readUTF());
		Check.equal("a\u{FFFD}b", pair.socket.readUTFBytes(3));
		Check.throws(RangeError, 2006, () -> pair.socket.readUTFBytes(-1));
		Check.throws(RangeError, 2006, () -> pair.socket.readMultiByte(-1, "utf-8"));
		pair.close();
	}

	function testLongTexts() {
		var pair = new Pair();
		for (length in [255, 256, 257, 60000]) {
			var text = StringTools.rpad("", "x", length - 2) + "é"; // so many bytes
			var sent = new ByteArray();
			sent.endian = Endian.BIG_ENDIAN;
			sent.writeUTF(text);
			pair.send(sent);
			Check.equal(text, pair.socket.readUTF());
		}
		pair.close();
	}

	function testCharsets() {
		var pair = new Pair();
		pair.socket.writeMultiByte("日本", "shift_jis");
		pair.socket.writeMultiByte("é€", "windows-1252");
		Check.equal("93fa967b" + "e980", pair.receive(6).toHex());
		pair.send(Bytes.ofHex("93fa967b" + "e9"));
		Check.equal("日本", pair.socket.readMultiByte(4, "shift_jis"));
		Check.equal("é", pair.socket.readMultiByte(1, "iso-8859-1"));
		pair.close();
	}
}
