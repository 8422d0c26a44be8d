package serversocket;

/** What can be read from. A read for which too few bytes are there throws `EOFError` and consumes none. **/
interface IDataInput {
	var bytesAvailable(get, never):Int;
	var endian(get, set):Endian;
	var objectEncoding(get, set):ObjectEncoding;
	function readBoolean():Bool;
	function readByte():Int;
	function readBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void;
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
