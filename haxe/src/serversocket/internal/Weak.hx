// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** A reference that does not keep its object. **/
#if cpp
typedef Weak<T> = cpp.vm.WeakRef<T>;
#elseif neko
class Weak<T> {
	final reference:Dynamic;

	public function new(object:T) {
		reference = make(object);
	}

	public function get():Null<T> {
		return read(reference);
	}

	static final make = neko.Lib.load("serversocket", "hs_weak", 1);
	static final read = neko.Lib.load("serversocket", "hs_weak_get", 1);
}
#elseif macro
class Weak<T> {
	public function new(object:T) {}

	public function get():Null<T> {
		return null;
	}
}
#end
