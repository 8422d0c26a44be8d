// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.io.Bytes;
import haxe.io.BytesBuffer;

/** Texts on their way to and from C. **/
class Text {
	static final NUL = String.fromCharCode(0);
	static inline final REPLACEMENT = "\u{FFFD}";

	public static function hasNul(text:String):Bool {
		return text.indexOf(NUL) >= 0;
	}

	/** A host or an address, spoilt if it has a NUL: C would take what stands before that for the whole. **/
	public static function withoutNul(name:Null<String>):Null<String> {
		return name == null || !hasNul(name) ? name : StringTools.replace(name, NUL, " ");
	}

	/** A path, as it is. Throws ArgumentError: it has a NUL; C would take what stands before that for the whole. **/
	public static function path(path:Null<String>):Null<String> {
		if (path != null && hasNul(path))
			throw Errors.argument();
		return path;
	}

	/** What is not UTF-8 becomes U+FFFD. **/
	public static function decode(bytes:Bytes, from:Int, length:Int):String {
		var text = new StringBuf();
		var end = from + length;
		var at = from;
		var good = from; // the start of what is known to be well-formed
		while (at < end) {
			var size = sequenceAt(bytes, at, end);
			if (size == 0) {
				text.add(bytes.getString(good, at - good));
				text.add(REPLACEMENT);
				size = 1;
				good = at + 1;
			}
			at += size;
		}
		text.add(bytes.getString(good, end - good));
		return text.toString();
	}

	/** A text of ISO 8859-1, each byte of which is the number of a character. **/
	public static function fromLatin(bytes:Bytes, from:Int, length:Int):String {
		var utf8 = new BytesBuffer();
		for (i in from...from + length) {
			var character = bytes.get(i);
			if (character < 0x80) {
				utf8.addByte(character);
			} else {
				utf8.addByte(0xC0 | (character >> 6));
				utf8.addByte(0x80 | (character & 0x3F));
			}
		}
		return utf8.getBytes().toString();
	}

	/** The reverse; what has no byte becomes '?'. **/
	public static function toLatin(text:String):Bytes {
		var latin = new BytesBuffer();
		var utf8 = Bytes.ofString(text);
		var at = 0;
		while (at < utf8.length) {
			var first = utf8.get(at);
			if (first < 0x80)
				latin.addByte(first);
			else if (first == 0xC2 || first == 0xC3)
				latin.addByte(((first & 3) << 6) | (utf8.get(at + 1) & 0x3F));
			else
				latin.addByte("?".code);
			at += first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
		}
		return latin.getBytes();
	}

	/** How many bytes the character that begins here has, 0 if it is malformed. **/
	static function sequenceAt(bytes:Bytes, at:Int, end:Int):Int {
		var first = bytes.get(at);
		if (first < 0x80)
			return 1;
		var size = first >= 0xC2 && first < 0xE0 ? 2 : first & 0xF0 == 0xE0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
		if (size == 0 || at + size > end)
			return 0;
		for (i in 1...size)
			if (bytes.get(at + i) & 0xC0 != 0x80)
				return 0;
		var second = bytes.get(at + 1);
		return switch (first) {
			case 0xE0: second < 0xA0 ? 0 : size; // longer than need be
			case 0xED: second > 0x9F ? 0 : size; // half a surrogate pair
			case 0xF0: second < 0x90 ? 0 : size;
			case 0xF4: second > 0x8F ? 0 : size; // beyond Unicode
			case _: size;
		}
	}
}
