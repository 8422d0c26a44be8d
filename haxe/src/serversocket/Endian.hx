// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** The order of the bytes of a number. **/
enum abstract Endian(Null<Int>) {
	/** The most significant byte first, the order of the network, and the default. **/
	var BIG_ENDIAN = 0;

	/** The least significant byte first. **/
	var LITTLE_ENDIAN = 1;

	/** AIR's own constants are strings. Another one gives null, which nobody takes. **/
	@:from static function fromString(text:String):Endian {
		return switch (text) {
			case "bigEndian": BIG_ENDIAN;
			case "littleEndian": LITTLE_ENDIAN;
			case _: null;
		}
	}

	@:to function toString():String {
		return switch (cast this : Endian) {
			case BIG_ENDIAN: "bigEndian";
			case LITTLE_ENDIAN: "littleEndian";
			case _: null;
		}
	}
}
