// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.io.Bytes;

/** A value in DER: a tag, a length, and so many bytes. Reading one that is not what it is taken for throws Malformed, and nothing else. **/
class Der {
	public static inline final NULL = 0x05;
	public static inline final EXPLICIT_0 = 0xA0;
	public static inline final IMPLICIT_1 = 0x81;
	public static inline final IMPLICIT_2 = 0x82;

	static inline final INTEGER = 0x02;
	static inline final OID = 0x06;
	static inline final BMP_STRING = 0x1E;
	static inline final UTC_TIME = 0x17;
	static inline final LATIN_STRING = 0x14;

	public final tag:Int;

	final bytes:Bytes;
	final start:Int;
	final contents:Int;
	final end:Int;

	/** The value that begins at `start`, and ends before `limit`. **/
	function new(bytes:Bytes, start:Int, limit:Int) {
		if (start + 2 > limit)
			throw new Malformed();
		this.bytes = bytes;
		this.start = start;
		tag = bytes.get(start);
		var length = bytes.get(start + 1);
		var at = start + 2;
		if (length >= 0x80) {
			var count = length & 0x7F;
			if (count == 0 || count > 3 || at + count > limit)
				throw new Malformed();
			length = 0;
			for (_ in 0...count)
				length = length << 8 | bytes.get(at++);
		}
		if (length > limit - at)
			throw new Malformed();
		contents = at;
		end = at + length;
	}

	public static function of(bytes:Bytes):Der {
		return new Der(bytes, 0, bytes.length);
	}

	/** What a sequence or a set consists of. **/
	public function parts():Array<Der> {
		if (tag & 0x20 == 0)
			throw new Malformed();
		var found = [];
		var at = contents;
		while (at < end) {
			var part = new Der(bytes, at, end);
			found.push(part);
			at = part.end;
		}
		return found;
	}

	public function part(index:Int):Der {
		var all = parts();
		if (index >= all.length)
			throw new Malformed();
		return all[index];
	}

	/** With its tag and its length. **/
	public function whole():Bytes {
		return bytes.sub(start, end - start);
	}

	/** A small number. **/
	public function int():Int {
		if (tag != INTEGER || end - contents != 1)
			throw new Malformed();
		return bytes.get(contents);
	}

	public function hex():String {
		return bytes.sub(contents, end - contents).toHex().toUpperCase();
	}

	/** Of a bit string, without the count of unused bits in front. **/
	public function bitsAsHex():String {
		if (contents == end)
			throw new Malformed();
		return bytes.sub(contents + 1, end - contents - 1).toHex().toUpperCase();
	}

	/** An object identifier, with dots. **/
	public function oid():String {
		if (tag != OID || contents == end)
			throw new Malformed();
		var numbers:Array<Float> = [];
		var number = 0.0;
		for (at in contents...end) {
			var byte = bytes.get(at);
			number = number * 128 + (byte & 0x7F);
			if (byte & 0x80 == 0) {
				numbers.push(number);
				number = 0;
			}
		}
		if (numbers.length == 0)
			throw new Malformed();
		var first = numbers[0] < 40 ? 0 : numbers[0] < 80 ? 1 : 2;
		numbers[0] -= first * 40;
		return '$first.${numbers.join(".")}';
	}

	/** A text, in whichever of the charsets of certificates it is. **/
	public function text():String {
		return switch (tag) {
			case BMP_STRING: utf16();
			case LATIN_STRING: Text.fromLatin(bytes, contents, end - contents);
			case _: Text.decode(bytes, contents, end - contents);
		}
	}

	function utf16():String {
		var text = new StringBuf();
		var at = contents;
		while (at + 1 < end) {
			var unit = bytes.get(at) << 8 | bytes.get(at + 1);
			text.add(unit >= 0xD800 && unit < 0xE000 ? "\u{FFFD}" : String.fromCharCode(unit));
			at += 2;
		}
		return text.toString();
	}

	/** A time in UTC, to the second; null if this target's Date cannot have it. **/
	public function date():Null<Date> {
		var digits = bytes.getString(contents, end - contents);
		if (tag == UTC_TIME)
			digits = (digits < "5" ? "20" : "19") + digits; // as RFC 5280 has it
		if (!~/^[0-9]{14}Z$/.match(digits))
			throw new Malformed();
		var number = (from:Int, length:Int) -> Std.parseInt(digits.substr(from, length));
		var days = daysBefore(number(0, 4), number(4, 2), number(6, 2));
		try {
			return Date.fromTime((((days * 24 + number(8, 2)) * 60 + number(10, 2)) * 60 + number(12, 2)) * 1000);
		} catch (_:Any) {
			return null;
		}
	}

	/** From the beginning of 1970 to a day: days are counted from a March on, so that leap days are last. **/
	static function daysBefore(year:Int, month:Int, day:Int):Float {
		var fromMarch = (month + 9) % 12;
		var years = month < 3 ? year - 1 : year;
		return 365.0 * years + Std.int(years / 4) - Std.int(years / 100) + Std.int(years / 400) + Std.int((153 * fromMarch + 2) / 5) + day - 719469;
	}
}

/** Bytes are not what they are taken for. **/
class Malformed extends haxe.Exception {
	public function new() {
		super("malformed");
	}
}
