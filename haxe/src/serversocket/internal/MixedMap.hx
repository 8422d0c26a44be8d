// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.Constraints.IMap;
import haxe.ds.ObjectMap;
import haxe.ds.StringMap;
import haxe.io.FPHelper;

/** A dictionary with keys of several kinds, which Haxe's maps cannot be. Objects are told apart by what they are. **/
class MixedMap implements IMap<Dynamic, Dynamic> {
	final objects = new ObjectMap<Dynamic, Entry>();

	/** Those with other keys, by a text that says which. **/
	final plain = new StringMap<Entry>();

	public function new() {}

	public function get(key:Dynamic):Null<Dynamic> {
		var entry = find(key);
		return entry == null ? null : entry.value;
	}

	public function set(key:Dynamic, value:Dynamic):Void {
		var name = nameOf(key);
		if (name == null)
			objects.set(key, {key: key, value: value});
		else
			plain.set(name, {key: key, value: value});
	}

	public function exists(key:Dynamic):Bool {
		return find(key) != null;
	}

	public function remove(key:Dynamic):Bool {
		var name = nameOf(key);
		return name == null ? objects.remove(key) : plain.remove(name);
	}

	public function keys():Iterator<Dynamic> {
		return [for (entry in entries()) entry.key].iterator();
	}

	public function iterator():Iterator<Dynamic> {
		return [for (entry in entries()) entry.value].iterator();
	}

	public function keyValueIterator():KeyValueIterator<Dynamic, Dynamic> {
		return entries().iterator();
	}

	public function copy():IMap<Dynamic, Dynamic> {
		var copy = new MixedMap();
		for (entry in entries())
			copy.set(entry.key, entry.value);
		return copy;
	}

	public function toString():String {
		return "{" + [for (entry in entries()) '${entry.key} => ${entry.value}'].join(", ") + "}";
	}

	public function clear():Void {
		objects.clear();
		plain.clear();
	}

	function find(key:Dynamic):Null<Entry> {
		var name = nameOf(key);
		return name == null ? objects.get(key) : plain.get(name);
	}

	function entries():Array<Entry> {
		return [for (entry in plain) entry].concat([for (entry in objects) entry]);
	}

	/** null for an object. **/
	static function nameOf(key:Dynamic):Null<String> {
		if (key == null)
			return "null";
		if (Std.isOfType(key, String))
			return 'text $key';
		if (Std.isOfType(key, Bool))
			return '$key';
		if (!Std.isOfType(key, Float))
			return null;
		var bits = FPHelper.doubleToI64(key);
		return '${bits.high} ${bits.low}';
	}
}

private typedef Entry = {key:Dynamic, value:Dynamic};
