// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What can be written to. **/
interface IDataOutput {
	var endian(get, set):Endian;
	var objectEncoding:ObjectEncoding;
	function writeBoolean(value:Bool):Void;
	function writeByte(value:Int):Void;
	function writeBytes(bytes:ByteArray, offset:Int = 0, length:Int = 0):Void;
	function writeDouble(value:Float):Void;
	function writeFloat(value:Float):Void;
	function writeInt(value:Int):Void;
	function writeMultiByte(value:String, charSet:String):Void;
	function writeObject(object:Dynamic):Void;
	function writeShort(value:Int):Void;
	function writeUnsignedInt(value:Int):Void;
	function writeUTF(value:String):Void;
	function writeUTFBytes(value:String):Void;
}
