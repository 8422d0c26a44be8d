// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.Constraints.IMap;
import haxe.Int64;
import haxe.ds.ObjectMap;
import haxe.ds.Vector;
import haxe.io.Bytes;
import serversocket.ByteArray.ByteArrayData;
import serversocket.internal.Value;

/**
	From values of Haxe to a value of C, which then is written as a whole.

	An object that is met again is the same part again, so that circles come to an end. Nothing recurses: how deep values
	may be nested is for C to say.
**/
class ObjectWriter {
	final known = new ObjectMap<Dynamic, Part>();
	final members = new Members();

	/** Those whose own parts are still to come. **/
	final open:Array<Part> = [];

	function new() {}

	/** Makes a value of the object, has it written, and gives it back. **/
	public static function write(handle:Handle, object:Dynamic):Void {
		var value = Calls.valueNew(ValueType.UNDEFINED);
		try {
			new ObjectWriter().writeAll(value, object);
			Failure.check(Calls.socketWriteObject(handle, value));
		} catch (error:haxe.Exception) {
			Binding.releaseValue(value);
			throw error;
		}
		Binding.releaseValue(value);
	}

	function writeAll(value:Value, object:Dynamic):Void {
		put(value, object);
		while (open.length > 0)
			fill(open.pop());
	}

	function put(value:Value, object:Dynamic):Void {
		switch (Type.typeof(object)) {
			case TNull:
				Failure.check(Calls.valueSet(value, NULL));
			case TBool:
				Failure.check(Calls.valueSetBoolean(value, object));
			case TInt:
				Failure.check(Calls.valueSetInteger(value, object));
			case TFloat:
				Failure.check(Calls.valueSetNumber(value, object));
			case TClass(_) if (Std.isOfType(object, String)):
				putBytes(value, STRING, Bytes.ofString(object));
			case TFunction:
				refuse("a function");
			case TEnum(type):
				refuse('an enum value (${Type.getEnumName(type)})');
			case TObject if (Std.isOfType(object, Class) || Std.isOfType(object, Enum)):
				refuse("a class or enum itself");
			case TUnknown if (!isVector(object)):
				refuse("something of the host's");
			case TClass(_) if (Type.getClass(object) == null): // hxcpp's word for the same
				refuse("something of the host's");
			case _:
				putObject(value, object);
		}
	}

	static function putBytes(value:Value, type:ValueType, bytes:Bytes, ?length:Int):Void {
		Failure.check(Calls.valueSetBytes(value, type, bytes, 0, length == null ? bytes.length : length));
	}

	function putObject(value:Value, object:Dynamic):Void {
		var first = find(object);
		if (first != null) {
			Failure.check(Calls.valueAssign(value, first.value));
			return;
		}
		var part = new Part(value, object);
		remember(part);
		if (Std.isOfType(object, Date)) {
			Failure.check(Calls.valueSetDate(value, (object : Date).getTime()));
		} else if (Std.isOfType(object, ByteArrayData)) {
			putBytes(value, BYTE_ARRAY, Memory.storage(object), Memory.lengthOf(object));
		} else if (Std.isOfType(object, Bytes)) {
			putBytes(value, BYTE_ARRAY, object);
		} else if (Std.isOfType(object, Xml)) {
			putXml(value, object);
		} else {
			Failure.check(Calls.valueSet(value, typeOf(object)));
			open.push(part);
		}
	}

	static function putXml(value:Value, xml:Xml):Void {
		if (Markup.isTooDeep(xml))
			fail(Errors.range(), "the XML is nested too deep");
		putBytes(value, XML, Bytes.ofString(xml.toString()));
	}

	static function typeOf(object:Dynamic):ValueType {
		if (Std.isOfType(object, NetDispatcher) || Int64.isInt64(object))
			refuse('a ${Type.getClassName(Type.getClass(object))}');
		return isArray(object) ? ARRAY : Std.isOfType(object, IMap) ? DICTIONARY : OBJECT;
	}

	static function isArray(object:Dynamic):Bool {
		return Std.isOfType(object, Array) || isVector(object);
	}

	function fill(whole:Part):Void {
		if (isArray(whole.object))
			fillArray(whole);
		else if (Std.isOfType(whole.object, IMap))
			fillDictionary(whole);
		else
			fillObject(whole);
	}

	function fillArray(whole:Part):Void {
		var items:Array<Dynamic> = isVector(whole.object) ? (whole.object : Vector<Dynamic>).toArray() : whole.object;
		for (item in items)
			put(Calls.valueAddItem(whole.value), item);
	}

	function fillDictionary(whole:Part):Void {
		var map:IMap<Dynamic, Dynamic> = whole.object;
		for (key in map.keys()) {
			put(Calls.valueAddItem(whole.value), key);
			put(Calls.valueAddItem(whole.value), map.get(key));
		}
	}

	function fillObject(whole:Part):Void {
		var object = whole.object;
		var type:Class<Dynamic> = Type.getClass(object);
		if (type == null) {
			for (name in Reflect.fields(object))
				putProperty(whole, name, Reflect.field(object, name));
			return;
		}
		var alias = Aliases.aliasOf(type);
		if (alias != null)
			Failure.check(Calls.valueSetClassName(whole.value, alias));
		for (name in members.of(type))
			if (!Members.isMethod(object, name))
				putProperty(whole, name, Reflect.getProperty(object, name));
	}

	function putProperty(whole:Part, name:String, part:Dynamic):Void {
		if (Text.hasNul(name))
			refuse("a field with a NUL in its name");
		put(Calls.valueAddProperty(whole.value, name), part);
	}

	static function refuse(what:String):Void {
		fail(Errors.argument(), 'AMF has no form for $what');
	}

	static function fail(error:Error, why:String):Void {
		throw Errors.explained(error, '$why; nothing was written');
	}

	#if neko
	/** neko's own arrays, which cannot be keys of a map. **/
	final vectors:Array<Part> = [];

	static function isVector(object:Dynamic):Bool {
		return untyped __dollar__typeof(object) == __dollar__tarray;
	}

	function find(object:Dynamic):Null<Part> {
		return isVector(object) ? Lambda.find(vectors, part -> part.object == object) : known.get(object);
	}

	function remember(part:Part):Void {
		if (isVector(part.object))
			vectors.push(part);
		else
			known.set(part.object, part);
	}
	#else
	/** A Vector is an Array here. **/
	static inline function isVector(object:Dynamic):Bool {
		return false;
	}

	inline function find(object:Dynamic):Null<Part> {
		return known.get(object);
	}

	inline function remember(part:Part):Void {
		known.set(part.object, part);
	}
	#end
}

/** An object, and the value that it has become. **/
private class Part {
	public final value:Value;
	public final object:Dynamic;

	public function new(value:Value, object:Dynamic) {
		this.value = value;
		this.object = object;
	}
}
