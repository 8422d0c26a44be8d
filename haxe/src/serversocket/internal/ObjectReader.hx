// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.Constraints.IMap;
import haxe.Int64;
import haxe.ds.IntMap;
import haxe.ds.ObjectMap;
import haxe.ds.StringMap;
import serversocket.internal.Value;

/**
	From a value of C to values of Haxe.

	What has parts is made empty when it is first met, and filled when all its parts have been met: a setter gets an array
	that is full, unless it goes round in circles. Nothing recurses, since references can lead deeper than C has looked.
	What a peer refers to often is one object here too, and one text: else a short message could take any memory.
**/
class ObjectReader {
	final objects = new Words<Dynamic>();
	final texts = new Words<String>();
	final members = new Members();

	/** What is being read, from the outermost to the innermost. **/
	final path:Array<Unfinished> = [];

	function new() {}

	/** Takes over the reference to the value. **/
	public static function read(value:Value):Dynamic {
		try {
			var object = new ObjectReader().readAll(value);
			Binding.releaseValue(value);
			return object;
		} catch (error:haxe.Exception) { // of a constructor or a setter
			Binding.releaseValue(value);
			throw error;
		}
	}

	function readAll(value:Value):Dynamic {
		var object = meet(value);
		while (path.length > 0) {
			var last = path[path.length - 1];
			if (last.parts.length < last.items + last.properties) {
				last.parts.push(meet(partOf(last, last.parts.length)));
			} else {
				path.pop();
				fill(last);
			}
		}
		return object;
	}

	static function partOf(whole:Unfinished, index:Int):Value {
		if (index < whole.items)
			return Calls.valueItem(whole.value, index);
		return Calls.valuePropertyAt(whole.value, index - whole.items);
	}

	function meet(value:Value):Dynamic {
		switch (Calls.valueType(value)) {
			case UNDEFINED | NULL:
				return null;
			case BOOLEAN:
				return Calls.valueBoolean(value);
			case INTEGER | NUMBER:
				return number(Calls.valueNumber(value));
			case STRING:
				return text(value, CONTENTS);
			case type:
				var word = Binding.valueWord(value);
				var object = objects.get(word);
				if (object == null)
					objects.set(word, object = begin(value, type));
				return object;
		}
	}

	/** ActionScript does not tell an int from a Number of the same size, and AMF writes the one as the other. **/
	static function number(value:Float):Dynamic {
		if (value >= -2147483648.0 && value <= 2147483647.0) {
			var integer = Std.int(value);
			if (integer == value)
				return integer;
		}
		return value;
	}

	/** null if there is none. **/
	function text(value:Value, which:TextOf):Null<String> {
		var address = Binding.valueTextAddress(value, which);
		if (Int64.isZero(address))
			return null;
		var known = texts.get(address);
		if (known == null) {
			var bytes = Binding.valueText(value, which);
			texts.set(address, known = Text.decode(bytes, 0, bytes.length));
		}
		return known;
	}

	function begin(value:Value, type:ValueType):Dynamic {
		switch (type) {
			case DATE:
				return Date.fromTime(Calls.valueNumber(value));
			case BYTE_ARRAY:
				return ByteArray.fromBytes(Binding.valueText(value, CONTENTS));
			case XML | XML_DOCUMENT:
				return Markup.parse(text(value, CONTENTS));
			case OBJECT:
				var type = classOf(value);
				return open(value, type == null ? {} : Type.createInstance(type, []), type);
			case DICTIONARY:
				return open(value, mapFor(value));
			case _ if (Calls.valuePropertyCount(value) > 0): // Haxe's arrays have no properties
				return open(value, {});
			case _:
				return open(value, new Array<Dynamic>());
		}
	}

	function open(value:Value, object:Dynamic, ?type:Class<Dynamic>):Dynamic {
		path.push(new Unfinished(value, object, type));
		return object;
	}

	function classOf(value:Value):Null<Class<Dynamic>> {
		var alias = text(value, CLASS);
		return alias == null ? null : Aliases.classOf(alias);
	}

	/** The map of Haxe's that takes all of the keys. Nothing says what those of an empty one would be: texts, mostly. **/
	static function mapFor(value:Value):IMap<Dynamic, Dynamic> {
		var all = TEXT;
		for (i in 0...Calls.valueItemCount(value) >> 1) {
			var kind = kindOfKey(Calls.valueType(Calls.valueItem(value, 2 * i)));
			if (i > 0 && kind != all)
				return new MixedMap();
			all = kind;
		}
		return switch (all) {
			case TEXT: new StringMap<Dynamic>();
			case INT: new IntMap<Dynamic>();
			case INSTANCE: new ObjectMap<Dynamic, Dynamic>();
			case OTHER: new MixedMap();
		}
	}

	static function kindOfKey(type:ValueType):KindOfKey {
		return switch (type) {
			case STRING: TEXT;
			case INTEGER: INT;
			case UNDEFINED | NULL | BOOLEAN | NUMBER | XML | XML_DOCUMENT: OTHER; // XML may have become a text
			case _: INSTANCE;
		}
	}

	function fill(whole:Unfinished):Void {
		if (whole.type == null && Std.isOfType(whole.object, IMap)) {
			var map:IMap<Dynamic, Dynamic> = whole.object;
			for (i in 0...whole.parts.length >> 1)
				map.set(whole.parts[2 * i], whole.parts[2 * i + 1]);
		} else if (whole.object != whole.parts) {
			for (i in 0...whole.parts.length)
				setField(whole, i < whole.items ? Std.string(i) : text(whole.value, i - whole.items), whole.parts[i]);
		}
	}

	function setField(whole:Unfinished, name:String, part:Dynamic):Void {
		if (whole.type == null) {
			if (!isReserved(name))
				Reflect.setField(whole.object, name, part);
		} else if (members.of(whole.type).indexOf(name) >= 0 && !Members.isMethod(whole.object, name)) {
			Reflect.setProperty(whole.object, name, part);
		}
	}

	/** Fields by which neko knows what an object is: no peer may say that. **/
	static inline function isReserved(name:String):Bool {
		#if neko
		return name == "__class__" || name == "__enum__" || name == "__id__" || name == "__name__";
		#else
		return false;
		#end
	}
}

/** An object whose parts are still being read. **/
private class Unfinished {
	public final value:Value;
	public final object:Dynamic;
	public final type:Null<Class<Dynamic>>;
	public final items:Int;
	public final properties:Int;

	/** As far as they were read: items first. An array is this itself. **/
	public final parts:Array<Dynamic>;

	public function new(value:Value, object:Dynamic, type:Null<Class<Dynamic>>) {
		this.value = value;
		this.object = object;
		this.type = type;
		items = Calls.valueItemCount(value);
		properties = Calls.valuePropertyCount(value);
		parts = Std.isOfType(object, Array) ? object : [];
	}
}

private enum KindOfKey {
	TEXT;
	INT;
	INSTANCE;
	OTHER;
}
