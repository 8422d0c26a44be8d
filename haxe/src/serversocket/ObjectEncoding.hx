// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** The formats of `readObject` and `writeObject`. **/
enum abstract ObjectEncoding(Int) from Int to Int {
	var AMF0 = 0;
	var AMF3 = 3;

	/** Haxe's own format, `haxe.Serializer`, after its length as `writeUTF` has it: what OpenFL's Socket speaks. **/
	var HXSF = 10;

	var DEFAULT = 3;
}
