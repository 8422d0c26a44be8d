// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

@:keep
class ByteArrayTests {
	public function new() {}

	function testEverythingComesBackInEitherOrder() {
		for (endian in [Endian.BIG_ENDIAN, Endian.LITTLE_ENDIAN]) {
			var bytes = new ByteArray();
			bytes.endian = endian;
			bytes.writeBoolean(true);
			bytes.writeByte(-2);
			bytes.writeShort(-3);
			bytes.writeInt(-2147483648);
			bytes.writeUnsignedInt(0xFEDCBA98);
			bytes.writeFloat(-1.5);
			bytes.writeDouble(3.141592653589793);
			bytes.writeUTF("héllo");
			bytes.writeMultiByte("é€", "iso-8859-1");
			Check.equal(bytes.position, bytes.length);
			bytes.position = 0;
			Check.equal(true, bytes.readBoolean());
			Check.equal(-2, bytes.readByte());
			Check.equal(-3, bytes.readShort());
			Check.equal(-2147483648, bytes.readInt());
			Check.isTrue(bytes.readUnsignedInt() > 4000000000.0, "unsigned");
			Check.equal(-1.5, bytes.readFloat());
			Check.equal(3.141592653589793, bytes.readDouble());
			Check.equal("héllo", bytes.readUTF());
			Check.equal("é?", bytes.readMultiByte(2, "iso-8859-1"));
			Check.equal(0, bytes.bytesAvailable);
		}
	}

	function testAReadThatLacksBytesMovesNothing() {
		var bytes:ByteArray = Bytes.ofHex("05000102030405");
		var calls:Array<() -> Void> = [() -> bytes.readDouble(), () -> bytes.readUTFBytes(8), () -> bytes.readBytes(new ByteArray(), 0, 8)];
		for (call in calls) {
			Check.throws(EOFError, 2030, call);
			Check.equal(0, bytes.position);
		}
		bytes.length = 3;
		Check.throws(EOFError, 2030, () -> bytes.readInt());
		Check.throws(EOFError, 2030, () -> bytes.readUTF());
		Check.equal(0, bytes.position);
		bytes.position = 9;
		Check.equal(0, bytes.bytesAvailable);
		Check.throws(EOFError, 2030, () -> bytes.readByte());
	}

	function testItGrows() {
		var bytes = new ByteArray(2);
		bytes[4] = 0x141;
		Check.equal(5, bytes.length);
		Check.equal(0x41, bytes[4]);
		Check.equal(0, bytes[99]);
		bytes.position = 7;
		bytes.writeByte(1);
		Check.equal("0000000041000001", (bytes : Bytes).toHex());
		bytes.length = 1;
		Check.equal(1, bytes.position);
		bytes.length = 3;
		Check.equal("000000", (bytes : Bytes).toHex());
		bytes.clear();
		Check.equal(0, bytes.length + bytes.position);
		Check.throws(RangeError, 2006, () -> bytes.length = -1);
		Check.throws(RangeError, 2006, () -> bytes[-1] = 0);
	}

	function testPartsOfOthers() {
		var source:ByteArray = Bytes.ofString("hello");
		var bytes = new ByteArray();
		bytes.writeBytes(source, 1, 3);
		bytes.writeBytes(bytes); // itself
		Check.equal("ellell", bytes.toString());
		Check.throws(RangeError, 2006, () -> bytes.writeBytes(source, 6));
		bytes.position = 2;
		source.readBytes(bytes, 1, 2);
		Check.equal("eheell", bytes.toString());
		Check.equal(2, bytes.position);
		Check.throws(ArgumentError, 2008, () -> bytes.endian = null);
		Check.throws(RangeError, 2006, () -> bytes.writeUTF(StringTools.rpad("", "x", 65536)));
	}

	function testNullsAreRefused() {
		var bytes = new ByteArray();
		var calls:Array<() -> Void> = [
			() -> bytes.writeUTF(null), () -> bytes.writeUTFBytes(null), () -> bytes.writeMultiByte(null, "iso-8859-1"),
			() -> bytes.writeMultiByte(null, null), () -> bytes.writeBytes(null), () -> bytes.readBytes(null)
		];
		for (call in calls)
			Check.throws(TypeError, 2007, call);
		Check.equal(0, bytes.length);
	}

	function testMalformedTextIsReplaced() {
		for (hex => text in [
			"61ff62" => "a\u{FFFD}b", "e282ac" => "€", "e282" => "\u{FFFD}\u{FFFD}", "c0af" => "\u{FFFD}\u{FFFD}", "eda080" => "\u{FFFD}\u{FFFD}\u{FFFD}",
			"f09f9880" => "😀", "f4908080" => "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}", "" => ""
		])
			Check.equal(text, (Bytes.ofHex(hex) : ByteArray).toString());
	}

	function testAnEndianOfText() {
		var endian:Endian = "littleEndian";
		Check.equal(Endian.LITTLE_ENDIAN, endian);
		Check.equal("bigEndian", (Endian.BIG_ENDIAN : String));
	}
}
