// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/**
	An `ss_value *`: the C library's form of what `readObject` has read, or `writeObject` is to write.

	Equal words are the same value. A part is borrowed from the whole; the reference to the whole is given back by
	`Binding.releaseValue`.
**/
#if cpp
typedef Value = cpp.Int64;
#elseif (neko || macro)
abstract Value(Dynamic) {}
#end

/** `SS_VALUE_...` **/
enum abstract ValueType(Int) from Int to Int {
	var UNDEFINED = 1;
	var NULL = 2;
	var BOOLEAN = 3;
	var INTEGER = 4;
	var NUMBER = 5;
	var STRING = 6;
	var DATE = 7;
	var BYTE_ARRAY = 8;
	var XML = 9;
	var XML_DOCUMENT = 10;
	var ARRAY = 11;
	var OBJECT = 12;
	var DICTIONARY = 17;
}

/** The texts of a value: these two, and from 0 on the names of its properties. **/
enum abstract TextOf(Int) from Int to Int {
	var CONTENTS = -1;
	var CLASS = -2;
}
