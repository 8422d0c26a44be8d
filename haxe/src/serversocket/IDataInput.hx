// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What can be read from. A read for which too few bytes are there throws `EOFError` and consumes none. **/
interface IDataInput {
	var bytesAvailable(get, never):UInt;
	var endian(get, set):Endian;
	var objectEncoding:ObjectEncoding;
	function readBoolean():Bool;
	function readByte():Int;
	function readBytes(bytes:ByteArray, offset:UInt = 0, length:Int = 0):Void;
	function readDouble():Float;
	function readFloat():Float;
	function readInt():Int;
	function readMultiByte(length:Int, charSet:String):String;
	function readObject():Dynamic;
	function readShort():Int;
	function readUnsignedByte():Int;
	function readUnsignedInt():Int;
	function readUnsignedShort():Int;
	function readUTF():String;
	function readUTFBytes(length:Int):String;
}
