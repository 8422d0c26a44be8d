// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.io.Bytes;
import serversocket.ByteArray.ByteArrayData;

/** Where the bytes of a ByteArray are. **/
class Memory {
	/** Valid until the array grows; it may be longer than the array. **/
	public static inline function storage(array:ByteArrayData):Bytes {
		return array.__bytes;
	}

	public static inline function lengthOf(array:ByteArrayData):Int {
		return array.length;
	}

	/** How many bytes there are from `offset` on that can be written without making it longer first; `wrote` says how many it were. **/
	public static inline function roomFrom(array:ByteArrayData, offset:Int):Int {
		return offset > array.length ? 0 : array.__capacity() - offset;
	}

	public static inline function wrote(array:ByteArrayData, offset:Int, length:Int):Void {
		array.__wrote(offset, offset + length);
	}

	/** Makes it at least so long. **/
	public static inline function reserve(array:ByteArrayData, length:Int):Void {
		array.__reserve(length);
	}
}
