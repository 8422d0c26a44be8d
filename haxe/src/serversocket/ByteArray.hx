// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import haxe.Int64;
import haxe.io.Bytes;
import haxe.io.FPHelper;
import serversocket.internal.Errors;
import serversocket.internal.Text;

/** AIR's ByteArray, as far as sockets need it: bytes that grow, with a position. It can be made of `haxe.io.Bytes`. **/
@:forward
@:forwardStatics
abstract ByteArray(ByteArrayData) from ByteArrayData to ByteArrayData {
	/** The byte order of new ones: LITTLE_ENDIAN, as in OpenFL on today's machines. In AIR it is BIG_ENDIAN. **/
	public static var defaultEndian(get, set):Endian;

	/** The object encoding of new ones. **/
	public static var defaultObjectEncoding(get, set):ObjectEncoding;

	public inline function new(length:Int = 0) {
		this = new ByteArrayData(length);
	}

	/** Takes the bytes over; they are not copied. **/
	@:from public static function fromBytes(bytes:Bytes):ByteArray {
		return bytes == null ? null : ByteArrayData.over(bytes);
	}

	/** A copy of the bytes. **/
	@:to public function toBytes():Bytes {
		return this == null ? null : this.__bytes.sub(0, this.length);
	}

	public inline function readUnsignedInt():UInt {
		return this.readUnsignedInt();
	}

	@:arrayAccess inline function get(index:Int):Int {
		return this.at(index);
	}

	@:arrayAccess inline function set(index:Int, value:Int):Int {
		return this.setAt(index, value);
	}

	static inline function get_defaultEndian():Endian {
		return ByteArrayData.defaultEndian;
	}

	static inline function set_defaultEndian(value:Endian):Endian {
		return ByteArrayData.defaultEndian = value;
	}

	static inline function get_defaultObjectEncoding():ObjectEncoding {
		return ByteArrayData.defaultObjectEncoding;
	}

	static inline function set_defaultObjectEncoding(value:ObjectEncoding):ObjectEncoding {
		return ByteArrayData.defaultObjectEncoding = value;
	}
}

/** What is inside of a ByteArray. **/
@:nativeProperty
@:noCompletion
class ByteArrayData implements IDataInput implements IDataOutput {
	public static var defaultEndian:Endian = Endian.LITTLE_ENDIAN;
	public static var defaultObjectEncoding:ObjectEncoding = ObjectEncoding.DEFAULT;

	/** When it is set, bytes are dropped from the end, or zeros added. **/
	public var length(get, set):Int;

	/** Where the next read or write begins. **/
	public var position:Int = 0;

	/** How many bytes are behind the position. **/
	public var bytesAvailable(get, never):UInt;

	public var endian(get, set):Endian;
	public var objectEncoding:ObjectEncoding;

	/** The storage, which may be longer than `length`. **/
	@:allow(serversocket) var __bytes:Bytes;

	/** The storage of all that are empty: they get their own when they grow. **/
	static final EMPTY = Bytes.alloc(0);

	var __length:Int;
	var __endian:Endian;

	public function new(length:Int = 0) {
		__bytes = EMPTY;
		__length = 0;
		__reserve(length);
		__endian = defaultEndian;
		objectEncoding = defaultObjectEncoding;
	}

	@:allow(serversocket.ByteArray)
	static function over(bytes:Bytes):ByteArrayData {
		var array = new ByteArrayData();
		array.__bytes = bytes;
		array.__length = bytes.length;
		return array;
	}

	/** Empties it. **/
	public function clear():Void {
		__bytes = EMPTY;
		__length = 0;
		position = 0;
	}

	public function readBoolean():Bool {
		return __bytes.get(__take(1)) != 0;
	}

	public function readByte():Int {
		return __bytes.get(__take(1)) << 24 >> 24;
	}

	/** Reads `length` bytes, 0 for all that are left, into `bytes` from `offset` on; that grows as needed. **/
	public function readBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw Errors.isNull("bytes");
		if (offset < 0 || length < 0)
			throw Errors.range();
		if (length == 0)
			length = bytesAvailable;
		var from = __take(length);
		bytes.__reserve(offset + length);
		bytes.__bytes.blit(offset, __bytes, from, length);
	}

	public function readDouble():Float {
		var at = __take(8);
		var first = __int(at);
		var second = __int(at + 4);
		return __endian == LITTLE_ENDIAN ? FPHelper.i64ToDouble(first, second) : FPHelper.i64ToDouble(second, first);
	}

	public function readFloat():Float {
		return FPHelper.i32ToFloat(readInt());
	}

	public function readInt():Int {
		return __int(__take(4));
	}

	public function readInt64():Int64 {
		var at = __take(8);
		var first = __int(at);
		var second = __int(at + 4);
		return __endian == LITTLE_ENDIAN ? Int64.make(second, first) : Int64.make(first, second);
	}

	/** Knows "iso-8859-1" besides UTF-8, which every other name means; a Socket knows all of AIR's charsets. **/
	public function readMultiByte(length:Int, charSet:String):String {
		if (!__isLatin(charSet))
			return readUTFBytes(length);
		return Text.fromLatin(__bytes, __take(length), length);
	}

	public function readObject():Dynamic {
		throw new Error("ByteArray.readObject: only a Socket reads objects.");
	}

	public function readShort():Int {
		return readUnsignedShort() << 16 >> 16;
	}

	public function readUnsignedByte():Int {
		return __bytes.get(__take(1));
	}

	public function readUnsignedInt():Int {
		return readInt();
	}

	public function readUnsignedShort():Int {
		var value = __bytes.getUInt16(__take(2));
		return __endian == LITTLE_ENDIAN ? value : (value & 0xFF) << 8 | value >> 8;
	}

	/** Reads a text with its length in bytes before it. What is not UTF-8 becomes U+FFFD. **/
	public function readUTF():String {
		var length = readUnsignedShort();
		if (length > bytesAvailable) {
			position -= 2;
			throw new EOFError();
		}
		return readUTFBytes(length);
	}

	public function readUTFBytes(length:Int):String {
		return Text.decode(__bytes, __take(length), length);
	}

	public function writeBoolean(value:Bool):Void {
		writeByte(value ? 1 : 0);
	}

	public function writeByte(value:Int):Void {
		var at = __grow(1);
		__bytes.set(at, value);
	}

	/** Writes `length` bytes, 0 for all from `offset` on. Throws RangeError: `bytes` has not that many. **/
	public function writeBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void {
		if (bytes == null)
			throw Errors.isNull("bytes");
		length = bytes.__lengthOf(offset, length);
		var from = bytes.__bytes; // before this one grows, which it may be
		var at = __grow(length);
		__bytes.blit(at, from, offset, length);
	}

	public function writeDouble(value:Float):Void {
		var bits = FPHelper.doubleToI64(value);
		writeInt(__endian == LITTLE_ENDIAN ? bits.low : bits.high);
		writeInt(__endian == LITTLE_ENDIAN ? bits.high : bits.low);
	}

	public function writeFloat(value:Float):Void {
		writeInt(FPHelper.floatToI32(value));
	}

	public function writeInt(value:Int):Void {
		var at = __grow(4);
		__bytes.setInt32(at, __endian == LITTLE_ENDIAN ? value : __swap(value));
	}

	public function writeInt64(value:Int64):Void {
		writeInt(__endian == LITTLE_ENDIAN ? value.low : value.high);
		writeInt(__endian == LITTLE_ENDIAN ? value.high : value.low);
	}

	/** The charsets of `readMultiByte`; a character that is not in them is written as '?'. **/
	public function writeMultiByte(value:String, charSet:String):Void {
		writeBytes(__isLatin(charSet) ? Text.toLatin(__notNull(value)) : Bytes.ofString(__notNull(value)));
	}

	public function writeObject(object:Dynamic):Void {
		throw new Error("ByteArray.writeObject: only a Socket writes objects.");
	}

	public function writeShort(value:Int):Void {
		value &= 0xFFFF;
		var at = __grow(2);
		__bytes.setUInt16(at, __endian == LITTLE_ENDIAN ? value : (value & 0xFF) << 8 | value >> 8);
	}

	public function writeUnsignedInt(value:Int):Void {
		writeInt(value);
	}

	/** Writes a text with its length in bytes before it. Throws RangeError: those are more than 65535. **/
	public function writeUTF(value:String):Void {
		var text = Bytes.ofString(__notNull(value));
		if (text.length > 0xFFFF)
			throw Errors.range();
		writeShort(text.length);
		writeBytes(text);
	}

	public function writeUTFBytes(value:String):Void {
		writeBytes(Bytes.ofString(__notNull(value)));
	}

	/** All of it, read as UTF-8. **/
	public function toString():String {
		return Text.decode(__bytes, 0, __length);
	}

	/** The byte at a place, 0 beyond the end. **/
	@:allow(serversocket.ByteArray)
	function at(index:Int):Int {
		return index >= 0 && index < __length ? __bytes.get(index) : 0;
	}

	@:allow(serversocket.ByteArray)
	function setAt(index:Int, value:Int):Int {
		if (index < 0)
			throw Errors.range();
		__reserve(index + 1);
		__bytes.set(index, value);
		return value;
	}

	/** Makes it at least so long. **/
	@:allow(serversocket)
	function __reserve(length:Int):Void {
		if (length <= __length)
			return;
		if (length > __bytes.length) {
			var larger = Bytes.alloc(length < 2 * __length ? 2 * __length : length + 8); // some room more: what is read next may be as long
			if (__length > 0)
				larger.blit(0, __bytes, 0, __length);
			__bytes = larger;
		}
		__bytes.fill(__length, length - __length, 0);
		__length = length;
	}

	/** How many bytes fit without another place for them. **/
	@:allow(serversocket)
	inline function __capacity():Int {
		return __bytes.length;
	}

	/** Says that it is so long at least, since bytes within its capacity were written from `offset` on, which is within its length. **/
	@:allow(serversocket)
	inline function __wrote(offset:Int, end:Int):Void {
		if (end > __length)
			__length = end;
	}

	/** What AIR means by (offset, length) of something to be written: 0 is all from `offset` on. **/
	@:allow(serversocket)
	function __lengthOf(offset:Int, length:Int):Int {
		if (offset < 0 || length < 0 || offset > __length || length > __length - offset)
			throw Errors.range();
		return length == 0 ? __length - offset : length;
	}

	/** Where `count` bytes can be read; the position moves behind them. **/
	function __take(count:Int):Int {
		if (count < 0)
			throw Errors.range();
		if (count > bytesAvailable)
			throw new EOFError();
		position += count;
		return position - count;
	}

	/** Where `count` bytes can be written, in what may be a new storage; the position moves behind them. **/
	function __grow(count:Int):Int {
		__reserve(position + count);
		position += count;
		return position - count;
	}

	function __int(at:Int):Int {
		var value = __bytes.getInt32(at);
		return __endian == LITTLE_ENDIAN ? value : __swap(value);
	}

	static function __notNull(text:String):String {
		if (text == null)
			throw Errors.isNull("value");
		return text;
	}

	static function __swap(value:Int):Int {
		return (value << 24) | ((value & 0xFF00) << 8) | ((value >>> 8) & 0xFF00) | (value >>> 24);
	}

	static function __isLatin(charSet:String):Bool {
		return charSet != null && charSet.toLowerCase() == "iso-8859-1";
	}

	function get_length():Int {
		return __length;
	}

	function set_length(value:Int):Int {
		if (value < 0)
			throw Errors.range();
		if (value > __length)
			__reserve(value);
		__length = value;
		if (position > value)
			position = value;
		return value;
	}

	function get_bytesAvailable():UInt {
		return position < __length ? __length - position : 0;
	}

	function get_endian():Endian {
		return __endian;
	}

	function set_endian(value:Endian):Endian {
		if (value == null)
			throw Errors.of(2, "Parameter endian must be one of the accepted values.", 2008);
		return __endian = value;
	}
}
