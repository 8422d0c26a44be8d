// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.Constraints.IMap;
import haxe.io.Bytes;
import haxe.io.BytesBuffer;
import serversocket.*;
import serversocket.ByteArray.ByteArrayData;

/** readObject and writeObject of a Socket. **/
@:keep
class ObjectTests {
	static final encodings = [ObjectEncoding.AMF0, ObjectEncoding.AMF3];

	public function new() {
		Lib.registerClassAlias("com.example.Person", Person);
		Lib.registerClassAlias("com.example.Fussy", Fussy);
	}

	// ---- How the tests write and read ----

	/** The bytes that an object becomes: all of a connection's. **/
	static function written(encoding:ObjectEncoding, object:Dynamic):Bytes {
		var pair = new Pair();
		pair.socket.objectEncoding = encoding;
		pair.socket.writeObject(object);
		pair.socket.close();
		var bytes = pair.receive(1 << 20);
		pair.close();
		return bytes;
	}

	/** What comes back when a peer answers with the same bytes. **/
	static function backFrom(pair:Pair, object:Dynamic):Dynamic {
		pair.send(written(pair.socket.objectEncoding, object));
		return readWhole(pair);
	}

	static function readWhole(pair:Pair):Dynamic {
		var object:Dynamic = pair.socket.readObject();
		Check.equal(0, pair.socket.bytesAvailable);
		return object;
	}

	static function inBoth(test:Pair->Void):Void {
		for (encoding in encodings) {
			var pair = new Pair();
			pair.socket.objectEncoding = encoding;
			test(pair);
			pair.close();
		}
	}

	static function inAMF3(test:Pair->Void):Void {
		var pair = new Pair();
		test(pair);
		pair.close();
	}

	/** `StringTools.rpad` takes minutes for it on hxcpp. **/
	static function longText(length:Int):String {
		var bytes = Bytes.alloc(length);
		bytes.fill(0, length, "x".code);
		return bytes.toString();
	}

	/** What is read from bytes, which are given in hexadecimal digits. **/
	static function readFrom(pair:Pair, hex:String):Dynamic {
		pair.send(Bytes.ofHex(StringTools.replace(hex, " ", "")));
		return readWhole(pair);
	}

	// ---- Each type, there and back ----

	function testPlainValuesComeBack() {
		final values:Array<Dynamic> = [
			null, true, false, 0, -1, 127, 268435455, 268435456, -268435456, -268435457, 2147483647, -2147483648, 1.5, -0.25,
			1e300, "", "x", "grüße 😀", "a\x00b", longText(70000)
		];
		inBoth(pair -> for (value in values) {
			var back = backFrom(pair, value);
			Check.equal(value, back);
			Check.equal(Std.isOfType(value, Int), Std.isOfType(back, Int));
		});
	}

	function testNumbersThatAreNoneComeBack() {
		inBoth(pair -> {
			Check.isTrue(Math.isNaN(backFrom(pair, Math.NaN)), "not a number");
			Check.equal(Math.NEGATIVE_INFINITY, backFrom(pair, Math.NEGATIVE_INFINITY));
		});
	}

	function testWhatIsWrittenIsAMF3() {
		inAMF3(pair -> {
			Check.equal(ObjectEncoding.AMF3, pair.socket.objectEncoding);
			Check.equal("01", written(pair.socket.objectEncoding, null).toHex());
			Check.equal("040a", written(pair.socket.objectEncoding, 10).toHex());
			Check.equal("0605c3a9", written(pair.socket.objectEncoding, "é").toHex());
			Check.equal("0905010401060378", written(pair.socket.objectEncoding, ([1, "x"] : Array<Dynamic>)).toHex());
			Check.equal("0a0b010361040101", written(pair.socket.objectEncoding, {a: 1}).toHex());
			Check.equal("0c050102", written(pair.socket.objectEncoding, Bytes.ofHex("0102")).toHex());
			Check.equal("0b093c612f3e", written(pair.socket.objectEncoding, Xml.parse("<a/>")).toHex());
			Check.equal("08010000000000000000", written(pair.socket.objectEncoding, Date.fromTime(0)).toHex());
			Check.equal("1103000603610401", written(pair.socket.objectEncoding, ["a" => 1]).toHex());
		});
	}

	function testWhatIsWrittenIsAMF0() {
		inBoth(pair -> if (pair.socket.objectEncoding == AMF0) {
			Check.equal("05", written(pair.socket.objectEncoding, null).toHex());
			Check.equal("004024000000000000", written(pair.socket.objectEncoding, 10).toHex());
			Check.equal("020002c3a9", written(pair.socket.objectEncoding, "é").toHex());
			Check.equal("0a00000002" + "0100" + "020000", written(pair.socket.objectEncoding, ([false, ""] : Array<Dynamic>)).toHex());
			Check.equal("03" + "000161" + "003ff0000000000000" + "000009", written(pair.socket.objectEncoding, {a: 1}).toHex());
			Check.equal("0b00000000000000000000", written(pair.socket.objectEncoding, Date.fromTime(0)).toHex());
			Check.equal("110c050102", written(pair.socket.objectEncoding, Bytes.ofHex("0102")).toHex()); // which AMF0 does not have
		});
	}

	function testUndefinedIsNull() {
		inBoth(pair -> Check.equal(null, readFrom(pair, pair.socket.objectEncoding == AMF0 ? "06" : "00")));
	}

	function testDatesComeBack() {
		inBoth(pair -> for (time in [0.0, 1234567890000.0, -86400000.0]) {
			var back:Date = backFrom(pair, Date.fromTime(time));
			Check.equal(time, back.getTime());
		});
	}

	function testByteArraysComeBack() {
		inBoth(pair -> {
			var array = new ByteArray();
			array.writeInt(0x01020304);
			array.length = 3; // of a storage that is longer
			for (bytes in ([array, (array : Bytes)] : Array<Dynamic>)) {
				var back:ByteArray = backFrom(pair, bytes);
				Check.isTrue(Std.isOfType(back, ByteArrayData), "a ByteArray");
				Check.equal("040302", (back : Bytes).toHex());
				Check.equal(0, back.position);
			}
			Check.equal(0, (backFrom(pair, new ByteArray()) : ByteArray).length);
			var many = Check.pattern(100000);
			Check.equal(0, many.compare((backFrom(pair, many) : ByteArray)));
		});
	}

	function testXmlComesBack() {
		final texts = ['<a b="1"><!-- <c> --><c>x &amp; y</c><d/><![CDATA[</a>]]></a>', "<é/>", "text", ""];
		inBoth(pair -> for (text in texts) {
			var xml = try Xml.parse(text) catch (_:haxe.Exception) continue; // not every Haxe knows every name
			var back:Dynamic = backFrom(pair, xml);
			Check.isTrue(Std.isOfType(back, Xml), 'XML: $text');
			Check.equal(xml.toString(), Std.string(back));
		});
	}

	static function nested(open:String, depth:Int, close:String):String {
		var text = new StringBuf();
		for (_ in 0...depth)
			text.add(open);
		for (_ in 0...depth)
			text.add(close);
		return text.toString();
	}

	/** Haxe's parser would end the process. **/
	function testXmlThatCannotBeParsedIsItsText() {
		final texts = [
			"<a>", "<a></b>", "<", "<!DOCTYPE a><a/>", nested("<a>", 129, "</a>"), nested("<a>", 100000, "</a>"),
			nested("<a><!--</a>-->", 20000, "</a>"), nested("<a><![CDATA[</a>]]>", 20000, "</a>"),
			nested("<a b='/>'>", 20000, "</a>"), nested("<a><?></a>?>", 20000, "</a>"),
			nested("< a c=\"'\" b='</a>'\n>", 20000, "</a>")
		];
		inAMF3(pair -> for (text in texts) {
			var sent = new BytesBuffer();
			sent.addByte(0x0B);
			addLength(sent, text.length);
			sent.addString(text);
			pair.send(sent.getBytes());
			var back:Dynamic = readWhole(pair);
			Check.isTrue(Std.isOfType(back, String) && back == text, 'the text: ${text.substr(0, 50)}');
		});
	}

	function testXmlNestedTooDeepIsNotWritten() {
		inBoth(pair -> {
			var deepest = nested("<a>", 127, "</a>");
			deepest = '<b c=">">$deepest<a/>$deepest</b>';
			Check.isTrue(Std.isOfType(backFrom(pair, Xml.parse(deepest)), Xml), "128 deep");
			Check.throws(RangeError, 2006, () -> pair.socket.writeObject([Xml.parse('<x>$deepest</x>')]));
			Check.equal(0, pair.socket.bytesPending);
		});
	}

	static function addLength(bytes:BytesBuffer, length:Int):Void {
		addU29(bytes, length << 1 | 1);
	}

	/** A number as AMF3 has it, below 2,097,152. **/
	static function addU29(bytes:BytesBuffer, number:Int):Void {
		if (number >= 0x4000)
			bytes.addByte(number >> 14 | 0x80);
		if (number >= 0x80)
			bytes.addByte(number >> 7 & 0x7F | 0x80);
		bytes.addByte(number & 0x7F);
	}

	function testArraysComeBack() {
		inBoth(pair -> {
			var back:Array<Dynamic> = backFrom(pair, ([1, "two", null, [3.5, false], []] : Array<Dynamic>));
			Check.equal(5, back.length);
			Check.equal(1, back[0]);
			Check.equal("two", back[1]);
			Check.equal(null, back[2]);
			Check.equal(3.5, back[3][0]);
			Check.equal(false, back[3][1]);
			Check.equal(0, back[4].length);
			back.push(6);
			var numbers:Array<Int> = backFrom(pair, [for (i in 0...1000) i * i]);
			Check.equal(1000, numbers.length);
			Check.equal(999 * 999, numbers[999]);
			var texts:Array<String> = backFrom(pair, ["a", "b"]);
			Check.list(["a", "b"], texts);
			var floats:Array<Float> = backFrom(pair, [1.5, 2.0]);
			Check.list([1.5, 2.0], floats);
		});
	}

	function testStructuresComeBack() {
		inBoth(pair -> {
			var object = {name: "Ann", age: 30, tags: ["a", "b"], inner: {deep: {x: 1.5}}, nothing: null, yes: true};
			Reflect.setField(object, "grün", 1);
			Reflect.setField(object, "", 2);
			var back:Dynamic = backFrom(pair, object);
			Check.equal("Ann", back.name);
			Check.equal(30, back.age);
			Check.equal("b", back.tags[1]);
			Check.equal(1.5, back.inner.deep.x);
			Check.isTrue(Reflect.hasField(back, "nothing") && back.nothing == null, "a field that is null");
			Check.equal(true, back.yes);
			var name = Lambda.find(Reflect.fields(back), name -> name == "grün");
			Check.equal(1, Reflect.field(back, name)); // hxcpp does not find it by the literal itself
			Check.equal(2, Reflect.field(back, ""));
			Check.equal(8, Reflect.fields(back).length);
			Check.equal(0, Reflect.fields(backFrom(pair, {})).length);
		});
	}

	/** The order in which Haxe tells the fields. **/
	function testFieldsAreWrittenInTheirOrder() {
		inAMF3(pair -> {
			var object = {zeta: 1, b: 1, alpha: 1};
			var expected = "0a0b01";
			for (name in Reflect.fields(object))
				expected += StringTools.hex(name.length * 2 + 1, 2).toLowerCase() + Bytes.ofString(name).toHex() + "0401";
			Check.equal(expected + "01", written(pair.socket.objectEncoding, object).toHex());
		});
	}

	/** By such fields neko knows an object, its class and whether it is a class. **/
	function testPeersDoNotSayWhatAStructureIs() {
		inBoth(pair -> {
			var isAMF0 = pair.socket.objectEncoding == AMF0;
			var structure = (x:String) -> {
				var fields = "";
				for (name => value in ["__class__" => "61", "__enum__" => "61", "__id__" => "61", "__name__" => "61", "x" => x]) {
					var hex = Bytes.ofString(name).toHex();
					var length = isAMF0 ? StringTools.hex(name.length, 4) : StringTools.hex(name.length * 2 + 1, 2);
					fields += length + hex + (isAMF0 ? "020001" : "0603") + value;
				}
				return isAMF0 ? '03${fields}000009' : '0a0b01${fields}01';
			};
			var back:Array<Dynamic> = readFrom(pair, (isAMF0 ? "0a00000002" : "090501") + structure("62") + structure("63"));
			back = backFrom(pair, back);
			Check.equal("bc", back[0].x + back[1].x);
			Check.equal(null, Type.getClass(back[0]));
		});
	}

	function testAnArrayWithPropertiesIsAStructure() {
		inBoth(pair -> {
			var amf3 = "09 05 03 61 06 03 62 01 04 07 04 08"; // [7, 8] and a: "b"
			var amf0 = "08 00000003 0001 30 00 401c000000000000 0001 61 02 0001 62 0001 31 00 4020000000000000 000009";
			var back:Dynamic = readFrom(pair, pair.socket.objectEncoding == AMF0 ? amf0 : amf3);
			Check.equal("b", back.a);
			Check.equal(7, Reflect.field(back, "0"));
			Check.equal(8, Reflect.field(back, "1"));
			Check.equal(3, Reflect.fields(back).length);
		});
	}

	function testMapsComeBack() {
		inBoth(pair -> {
			var texts:Map<String, Dynamic> = backFrom(pair, ["a" => 1, "" => 2, "a\x00b" => 3]);
			Check.equal(1, texts["a"]);
			Check.equal(2, texts[""]);
			Check.equal(3, texts["a\x00b"]);
			Check.equal(3, [for (key in texts.keys()) key].length);

			var numbers:Map<Int, String> = backFrom(pair, [-1 => "a", 100000 => "b"]);
			Check.equal("a", numbers[-1]);
			Check.equal("b", numbers[100000]);

			var objects:Map<{}, Array<Int>> = backFrom(pair, [{name: "key"} => [1, 2]]);
			for (key => value in objects)
				Check.equal("key 2", '${Reflect.field(key, "name")} ${value[1]}');
			Check.equal(1, [for (key in objects.keys()) key].length);

			var none:Map<String, Int> = backFrom(pair, new Map<String, Int>());
			none["a"] = 1;
			Check.equal(1, none["a"]);
		});
	}

	/** In AMF0 a map is written in AMF3, whose references are its own: the key would be another object. **/
	function testAKeyIsTheSameObjectElsewhere() {
		inAMF3(pair -> {
			var key = {name: "key"};
			var back:Dynamic = backFrom(pair, {key: key, map: [key => [1, 2]]});
			var objects:Map<{}, Array<Int>> = back.map;
			Check.equal(2, objects[back.key][1]);
		});
	}

	function testKeysOfManyKindsComeBack() {
		// {"a": 1, 1: 2, 1.5: 3, true: 4, null: 5, {}: 6, [] : 7}
		var hex = "11 0f 00" + "0603610401" + "04010402" + "053ff80000000000000403" + "030404" + "010405" + "0a0b01010406"
			+ "0901010407";
		inAMF3(pair -> {
			var map:IMap<Dynamic, Dynamic> = readFrom(pair, hex);
			Check.list([1, 2, 3, 4, 5], [map.get("a"), map.get(1), map.get(1.5), map.get(true), map.get(null)]);
			Check.equal(null, map.get("1"));
			Check.equal(null, map.get({}));
			Check.equal(7, [for (value in map) value].length);
			for (key => value in map)
				Check.equal(value, map.get(key));
			Check.isTrue(map.exists("a") && map.remove("a") && !map.exists("a") && !map.remove("a"), "removed");
			map.set("b", 8);
			var back:IMap<Dynamic, Dynamic> = backFrom(pair, map);
			Check.list([null, 8, 3], [back.get("a"), back.get("b"), back.get(1.5)]);
			Check.equal(7, [for (value in back.copy()) value].length);
			back.clear();
			Check.equal("{}", back.toString());
		});
	}

	function testVectorsAreArrays() {
		inAMF3(pair -> {
			Check.list([-1, 5], readFrom(pair, "0d 05 00 ffffffff 00000005"));
			Check.list([4294967295.0, 5], readFrom(pair, "0e 05 01 ffffffff 00000005"));
			Check.list([1.5], readFrom(pair, "0f 03 00 3ff8000000000000"));
			Check.list(["x"], readFrom(pair, "10 03 00 01 06 03 78"));
		});
		inBoth(pair -> {
			var inner = haxe.ds.Vector.fromArrayCopy([1, 2]);
			var vector = new haxe.ds.Vector<Dynamic>(3);
			vector[0] = inner;
			vector[1] = inner;
			vector[2] = vector;
			var back:Array<Dynamic> = backFrom(pair, vector);
			Check.equal(2, back[0][1]);
			Check.equal(back[0], back[1]);
			Check.equal(back, back[2]);
		});
	}

	// ---- Classes ----

	function testInstancesOfARegisteredClassComeBack() {
		inBoth(pair -> {
			var ann = new Person();
			ann.name = "Ann";
			ann.scores = [1, 2];
			ann.friend = new Person();
			ann.friend.friend = ann;
			ann.age = 30;
			ann.weight = 61.5;
			var back:Dynamic = backFrom(pair, ann);
			Check.isTrue(Std.isOfType(back, Person), "a Person");
			var person:Person = back;
			Check.equal("Ann", person.name);
			Check.list([1, 2], person.scores);
			Check.equal(person, person.friend.friend);
			Check.equal(null, person.friend.name);
			Check.equal(30, person.age);
			Check.equal(61.5, person.weight);
			Check.equal("made by the constructor", person.origin);
			Check.equal("Ann, 3", person.greet());
		});
	}

	function testAClassIsWrittenUnderItsAlias() {
		inBoth(pair -> {
			var bytes = written(pair.socket.objectEncoding, new Person());
			Check.isTrue(bytes.toHex().indexOf(Bytes.ofString("com.example.Person").toHex()) > 0, "the alias");
		});
	}

	function testASetterGetsAnArrayThatIsFull() {
		inBoth(pair -> {
			var person = new Person();
			person.total = [1, 2, 3];
			Person.sum = 0;
			backFrom(pair, person);
			Check.equal(6, Person.sum);
			Person.sum = 0;
			backFrom(pair, ([person.total, person] : Array<Dynamic>));
			Check.equal(6, Person.sum);
		});
	}

	function testPeersSetNothingThatTheClassHasNot() {
		var hex = "0a 0b 25" + Bytes.ofString("com.example.Person").toHex() // with the members:
			+ "09" + Bytes.ofString("name").toHex() + "060742 6f62" // name: "Bob"
			+ "0b" + Bytes.ofString("greet").toHex() + "0401" // greet: 1
			+ "0f" + Bytes.ofString("unknown").toHex() + "0401" // unknown: 1
			+ "01";
		inAMF3(pair -> {
			var person:Person = readFrom(pair, hex);
			Check.equal("Bob, 0", person.greet());
			Check.equal(false, Reflect.hasField(person, "unknown"));
		});
	}

	function testAnUnknownClassIsAStructure() {
		inBoth(pair -> {
			var amf3 = "0a 13 07 616263 03 78 0401";
			var amf0 = "10 0003 616263 0001 78 00 3ff0000000000000 000009";
			var back:Dynamic = readFrom(pair, pair.socket.objectEncoding == AMF0 ? amf0 : amf3);
			Check.equal(null, Type.getClass(back));
			Check.equal(1, back.x);
		});
	}

	function testAClassWithoutAliasIsAStructure() {
		inBoth(pair -> {
			var child = new Child();
			child.name = "Bob";
			var back:Dynamic = backFrom(pair, child);
			Check.equal(null, Type.getClass(back));
			Check.equal("Bob", back.name);
			Check.equal("bear", back.toy);
		});
	}

	function testWhatAConstructorThrowsIsThrownOn() {
		inBoth(pair -> {
			pair.send(written(pair.socket.objectEncoding, new Fussy("this")));
			var thrown:Dynamic = try pair.socket.readObject() catch (error:Dynamic) error;
			Check.equal("not without arguments", thrown);
			Check.equal("next", backFrom(pair, "next"));
		});
	}

	function testAliases() {
		Check.equal((Person : Class<Dynamic>), Lib.getClassByAlias("com.example.Person"));
		Check.throws(Error, 1014, () -> Lib.getClassByAlias("com.example.Nobody"));
		Check.throws(TypeError, 2007, () -> Lib.getClassByAlias(null));
		Check.throws(TypeError, 2007, () -> Lib.registerClassAlias(null, Person));
		Check.throws(TypeError, 2007, () -> Lib.registerClassAlias("x", null));
		Check.throws(ArgumentError, 2004, () -> Lib.registerClassAlias("", Person));
		Check.throws(ArgumentError, 2004, () -> Lib.registerClassAlias("a\x00b", Person));
	}

	// ---- Sharing and depth ----

	function testWhatIsSharedStaysShared() {
		inBoth(pair -> {
			var shared:Dynamic = {list: [1]};
			var back:Dynamic = backFrom(pair, {a: shared, b: [shared, shared], list: shared.list});
			Check.equal(back.a, back.b[0]);
			Check.equal(back.a, back.b[1]);
			Check.equal(back.a.list, back.list);
		});
		final others:Array<Dynamic> = [Date.now(), Bytes.ofString("x"), Xml.parse("<a/>"), new Map<String, Int>()];
		inAMF3(pair -> for (object in others) {
			var back:Array<Dynamic> = backFrom(pair, [object, object]);
			Check.isTrue(back[0] != null && back[0] == back[1], "one object");
		});
	}

	function testEqualObjectsStayTwo() {
		inBoth(pair -> {
			var back:Array<Dynamic> = backFrom(pair, [{a: 1}, {a: 1}]);
			Check.isTrue(back[0] != back[1], "two objects");
		});
	}

	function testCirclesComeBack() {
		inBoth(pair -> {
			var object:Dynamic = {list: new Array<Dynamic>(), map: new Map<String, Dynamic>()};
			object.list.push(object);
			object.list.push(object.list);
			object.map.set("map", object.map);
			object.self = object;
			var back:Dynamic = backFrom(pair, object);
			Check.equal(back, back.self);
			Check.equal(back, back.list[0]);
			Check.equal(back.list, back.list[1]);
			var map:Map<String, Dynamic> = back.map;
			Check.equal(back.map, map["map"]);
		});
	}

	static function nestedArrays(depth:Int):Array<Dynamic> {
		var array:Array<Dynamic> = [];
		for (_ in 1...depth)
			array = [array];
		return array;
	}

	function testValuesNestedTooDeepAreNotWritten() {
		inBoth(pair -> {
			var back:Dynamic = backFrom(pair, nestedArrays(128));
			for (_ in 1...128)
				back = back[0];
			Check.equal(0, back.length);
			for (depth in [129, 100000])
				Check.throws(RangeError, 2006, () -> pair.socket.writeObject(nestedArrays(depth)));
			Check.equal(0, pair.socket.bytesPending);
		});
	}

	function testValuesNestedTooDeepAreNotRead() {
		inBoth(pair -> {
			var level = pair.socket.objectEncoding == AMF0 ? "0a00000001" : "090301";
			var hex = new StringBuf();
			for (_ in 0...1000)
				hex.add(level);
			pair.send(Bytes.ofHex(hex.toString()));
			Check.throws(RangeError, 2006, () -> pair.socket.readObject());
			Check.equal(500 * level.length, pair.socket.bytesAvailable);
		});
	}

	/** References lead from each object to the one before, much deeper than anything is nested. **/
	function testALongChainOfReferences() {
		final count = 20000;
		inBoth(pair -> {
			var links:Array<Dynamic> = [{before: null}];
			while (links.length < count)
				links.push({before: links[links.length - 1]});
			checkChain(backFrom(pair, links), count);
		});
		// In AMF3, properties come before items: here a list "a" of such objects, and the last of them once more.
		inAMF3(pair -> {
			var sent = new BytesBuffer();
			sent.add(Bytes.ofHex("0903" + "0361" + "09"));
			addLength(sent, count);
			sent.add(Bytes.ofHex("01" + "0a0b01" + "0d" + Bytes.ofString("before").toHex() + "0101"));
			for (i in 1...count) {
				sent.add(Bytes.ofHex("0a01" + "02" + "0a"));
				addU29(sent, i + 1 << 1);
				sent.addByte(0x01);
			}
			sent.add(Bytes.ofHex("01" + "0a"));
			addU29(sent, count + 1 << 1);
			pair.send(sent.getBytes());
			var back:Dynamic = readWhole(pair);
			checkChain(back.a, count);
			Check.equal(back.a[count - 1], Reflect.field(back, "0"));
		});
	}

	static function checkChain(links:Array<Dynamic>, count:Int):Void {
		Check.equal(count, links.length);
		for (i in 1...count)
			Check.isTrue(links[i].before == links[i - 1], "the one before");
	}

	/** 100,000 times 100 kB would be 10 GB. **/
	function testATextThatIsReferredToOftenTakesMemoryOnce() {
		inAMF3(pair -> {
			var sent = new BytesBuffer();
			sent.addByte(0x09);
			addLength(sent, 100001);
			sent.addByte(0x01);
			sent.addByte(0x06);
			addLength(sent, 100000);
			sent.addString(longText(100000));
			for (_ in 0...100000)
				sent.addString("\x06\x00");
			pair.send(sent.getBytes());
			var back:Array<Dynamic> = readWhole(pair);
			Check.equal(100001, back.length);
			Check.equal(100000, back[100000].length);
		});
	}

	// ---- What fails ----

	function testWhatHasNoFormInAMFIsRefused() {
		var closure = () -> 1;
		var named = {};
		Reflect.setField(named, "a", 1);
		var refused:Array<Dynamic> = [
			closure, testWhatHasNoFormInAMFIsRefused, Colour.Red, Colour, Person, haxe.Int64.make(1, 2), new Socket(),
			new sys.net.Socket()
		];
		#if neko
		refused.push(neko.Lib.load("serversocket", "hss_value_new", 1)(1));
		#else
		var pointer:cpp.Pointer<cpp.Void> = untyped __cpp__("(void *)5");
		refused.push(pointer);
		Reflect.setField(named, "a\x00b", 1); // neko cuts the name itself
		refused.push(named);
		#end
		inBoth(pair -> {
			for (object in refused) {
				for (value in ([object, [1, object], {a: object}, ["a" => object]] : Array<Dynamic>)) {
					var error = Check.throws(ArgumentError, 2004, () -> pair.socket.writeObject(value));
					Check.isTrue(error.detail != "", "it says what");
				}
			}
			Check.equal(0, pair.socket.bytesPending);
			Check.equal("still there", backFrom(pair, "still there"));
		});
	}

	function testAnObjectThatLacksBytesConsumesNone() {
		inBoth(pair -> {
			var bytes = written(pair.socket.objectEncoding, {name: "Ann", list: [1, 2, 3]});
			for (length in 1...bytes.length) {
				pair.send(bytes.sub(length - 1, 1));
				Check.throws(EOFError, 2030, () -> pair.socket.readObject());
				Check.equal(length, pair.socket.bytesAvailable);
			}
			pair.send(bytes.sub(bytes.length - 1, 1));
			Check.equal("Ann", readWhole(pair).name);
			Check.throws(EOFError, 2030, () -> pair.socket.readObject());
		});
	}

	function testGarbageIsAnArgumentError() {
		inBoth(pair -> {
			pair.send(Bytes.ofHex("ff00ff"));
			for (_ in 0...2) {
				var error = Check.throws(ArgumentError, 2008, () -> pair.socket.readObject());
				Check.isTrue(error.detail != "", "it says why");
				Check.equal(3, pair.socket.bytesAvailable);
			}
			Check.equal(true, pair.socket.connected);
		});
	}

	function testAnExternalizableObjectIsAnError() {
		inAMF3(pair -> {
			pair.send(Bytes.ofHex("0a0707616263"));
			Check.throws(Error, 0, () -> pair.socket.readObject());
			Check.equal(6, pair.socket.bytesAvailable);
		});
	}

	function testObjectsOfASocketThatIsNotConnected() {
		var socket = new Socket();
		Check.throws(IOError, 2002, () -> socket.readObject());
		Check.throws(IOError, 2002, () -> socket.writeObject({a: 1}));
		var pair = new Pair();
		pair.socket.close();
		Check.throws(IOError, 2002, () -> pair.socket.readObject());
		Check.throws(IOError, 2002, () -> pair.socket.writeObject(1));
		pair.close();
	}

	function testWhatCameBeforeTheEndCanBeRead() {
		inBoth(pair -> {
			pair.send(written(pair.socket.objectEncoding, [1]));
			pair.client.close();
			Check.until(() -> !pair.socket.connected, "the end");
			Check.equal(1, pair.socket.readObject()[0]);
			Check.throws(IOError, 2002, () -> pair.socket.readObject());
		});
	}

	function testAnObjectBeyondTheWriteLimitIsNotWritten() {
		inBoth(pair -> {
			pair.socket.setOption(SocketOption.WRITE_LIMIT, 1000);
			Check.throws(RangeError, 2006, () -> pair.socket.writeObject(longText(2000)));
			Check.equal(0, pair.socket.bytesPending);
			Check.equal("short", backFrom(pair, "short"));
		});
	}

	/** In pages, or 0 where the system does not say. **/
	static function memory():Int {
		try {
			var file = sys.io.File.read("/proc/self/statm");
			var line = file.readLine();
			file.close();
			return Std.parseInt(line.split(" ")[1]);
		} catch (_:haxe.Exception) {
			return 0;
		}
	}

	/** They would come to 400 MB. **/
	function testFailuresToWriteKeepNoMemory() {
		var large = Bytes.alloc(1 << 20);
		inAMF3(pair -> checkMemory(400, () -> {
			Check.throws(ArgumentError, 2004, () -> pair.socket.writeObject(([large, memory] : Array<Dynamic>)));
		}));
	}

	/** They would come to 200 MB. **/
	function testFailuresToReadKeepNoMemory() {
		var bytes = written(AMF3, new Fussy(longText(500000)));
		inAMF3(pair -> checkMemory(400, () -> {
			pair.send(bytes);
			var thrown = try pair.socket.readObject() catch (_:String) "thrown";
			Check.equal("thrown", thrown);
		}));
	}

	static function checkMemory(times:Int, call:() -> Void):Void {
		var before = 0;
		for (i in 0...times) {
			if (i == 20)
				before = memory();
			call();
			if (i % 10 == 0)
				Check.collect();
		}
		Check.isTrue(memory() - before < 100 << 8, 'it grew by ${memory() - before >> 8} MiB');
	}

	// ---- In listeners ----

	/** Objects in pieces of seven bytes, some of which hold the end of one and the beginning of the next. **/
	function testObjectsInPiecesAreReadInAListener() {
		for (encoding in encodings) {
			var names = [];
			var eofs = 0;
			var pair = new Pair(socket -> {
				socket.objectEncoding = encoding;
				socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
					try {
						while (socket.bytesAvailable > 0)
							names.push(socket.readObject().name);
					} catch (_:EOFError) {
						eofs++;
					}
				});
			});
			var bytes = new BytesBuffer();
			for (i in 0...20)
				bytes.add(written(pair.socket.objectEncoding, {name: 'name $i', list: [i]}));
			var all = bytes.getBytes();
			var at = 0;
			while (at < all.length) {
				var size = all.length - at < 7 ? all.length - at : 7;
				pair.client.output.writeFullBytes(all, at, size);
				at += size;
				Check.settle();
			}
			Check.list([for (i in 0...20) 'name $i'], names);
			Check.isTrue(eofs > 20, "they came in pieces");
			pair.close();
		}
	}

	function testAServerAndAClientTalkInObjects() {
		for (encoding in encodings) {
			var accepted:Socket = null;
			var server = Pair.listen(e -> {
				accepted = e.socket;
				accepted.objectEncoding = encoding;
				accepted.addEventListener(ProgressEvent.SOCKET_DATA, _ -> answer(accepted, question -> {
					var numbers:Array<Int> = question.numbers;
					var sum = 0;
					for (number in numbers)
						sum += number;
					accepted.writeObject({sum: sum, question: question});
				}));
			});
			var sums = [];
			var client = new Socket("127.0.0.1", server.localPort);
			client.objectEncoding = encoding;
			client.addEventListener(Event.CONNECT, _ -> client.writeObject({numbers: [1, 2, 3]}));
			client.addEventListener(ProgressEvent.SOCKET_DATA, _ -> answer(client, reply -> {
				sums.push(reply.sum);
				if (sums.length < 5)
					client.writeObject({numbers: [for (i in 0...1000) reply.sum]});
			}));
			Check.until(() -> sums.length == 5, "five answers");
			Check.equal("6,6000,6000000", sums.slice(0, 3).join(","));
			client.close();
			accepted.close();
			server.close();
		}
	}

	static function answer(socket:Socket, hear:Dynamic->Void):Void {
		while (socket.bytesAvailable > 0) {
			var object:Dynamic = try socket.readObject() catch (_:EOFError) return;
			hear(object);
		}
	}
}

@:keep
private class Person {
	public var name:String;
	public var scores:Array<Int>;
	public var friend:Person;
	public var weight:Float;
	public var callback:Void->Void;
	public var origin(default, null):String;
	public var age(get, set):Int;
	public var total(get, set):Array<Int>;

	/** Of the numbers that a setter was given last. **/
	public static var sum:Int;

	var years:Int = 0;
	var numbers:Array<Int>;

	public function new() {
		origin = "made by the constructor";
	}

	public function greet():String {
		return '$name, ${scores == null ? 0 : scores[0] + scores[1]}';
	}

	function get_age():Int {
		return years;
	}

	function set_age(value:Int):Int {
		return years = value;
	}

	function get_total():Array<Int> {
		return numbers;
	}

	function set_total(value:Array<Int>):Array<Int> {
		sum = 0;
		if (value != null)
			for (number in value)
				sum += number;
		return numbers = value;
	}
}

@:keep
private class Child extends Person {
	public var toy:String = "bear";
}

@:keep
private class Fussy {
	public var argument:String;

	public function new(argument:String) {
		if (argument == null)
			throw "not without arguments";
		this.argument = argument;
	}
}

private enum Colour {
	Red;
}
