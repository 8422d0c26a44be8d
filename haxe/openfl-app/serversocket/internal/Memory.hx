// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.io.Bytes;
import serversocket.ByteArray.ByteArrayData;

/** Where the bytes of OpenFL's ByteArray are: it is a Bytes itself. **/
class Memory {
	/** Valid until the array grows; it may be longer than the array. **/
	public static inline function storage(array:ByteArrayData):Bytes {
		return array;
	}

	public static inline function lengthOf(array:ByteArrayData):Int {
		return (array : ByteArray).length;
	}

	/** How many bytes there are from `offset` on that can be written without making it longer first; `wrote` says how many it were. **/
	public static inline function roomFrom(array:ByteArrayData, offset:Int):Int {
		return lengthOf(array) - offset;
	}

	public static inline function wrote(array:ByteArrayData, offset:Int, length:Int):Void {}

	/** Makes it at least so long. **/
	public static function reserve(array:ByteArrayData, length:Int):Void {
		var whole:ByteArray = array;
		if ((whole.length : Int) < length)
			whole.length = length;
	}
}
