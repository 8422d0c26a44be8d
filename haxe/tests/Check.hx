// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.PosInfos;
import haxe.io.Bytes;
import serversocket.*;

/** What the tests say, and how they wait. **/
class Check {
	/** Long enough for a slow machine; no test waits so long unless it fails. **/
	static inline final DEADLINE = 30;

	public static function equal<T>(expected:T, seen:T, ?where:PosInfos):Void {
		if (expected != seen)
			fail('expected ${quote(expected)}, seen ${quote(seen)}', where);
	}

	public static function list<T>(expected:Array<T>, seen:Array<T>, ?where:PosInfos):Void {
		if (expected.join("|") != seen.join("|"))
			fail('expected $expected, seen $seen', where);
	}

	public static function isTrue(condition:Bool, what:String, ?where:PosInfos):Void {
		if (!condition)
			fail(what, where);
	}

	/** The call must throw an error of exactly this class and number. **/
	public static function throws(expected:Class<Error>, id:Int, call:() -> Void, ?where:PosInfos):Error {
		try {
			call();
		} catch (error:Error) {
			equal(Type.getClassName(expected), Type.getClassName(Type.getClass(error)), where);
			equal(id, error.errorID, where);
			return error;
		}
		fail('expected ${Type.getClassName(expected)}, nothing was thrown', where);
		return null;
	}

	/** Pumps until the condition holds. **/
	public static function until(condition:() -> Bool, what:String, ?where:PosInfos):Void {
		var end = haxe.Timer.stamp() + DEADLINE;
		while (!condition()) {
			if (haxe.Timer.stamp() > end)
				fail('waited in vain: $what', where);
			Pump.poll(5);
		}
	}

	/** Pumps until all that is under way has come. **/
	public static function settle():Void {
		for (_ in 0...5)
			while (Pump.poll(2) > 0) {}
	}

	/** A full collection. **/
	public static function collect():Void {
		#if cpp
		cpp.vm.Gc.run(true);
		#else
		neko.vm.Gc.run(true);
		#end
	}

	/** What `uncaught` is told while the call runs. **/
	public static function uncaughtIn(call:() -> Void):Array<String> {
		var told = [];
		var before = EventDispatcher.uncaught;
		EventDispatcher.uncaught = error -> told.push(Std.string(error));
		call();
		EventDispatcher.uncaught = before;
		return told;
	}

	/** Bytes that repeat themselves only after a prime number of them, so that a lost or doubled block is noticed. **/
	public static function pattern(length:Int):Bytes {
		final period = 65521;
		var bytes = Bytes.alloc(length);
		for (i in 0...(length < period ? length : period))
			bytes.set(i, i * 7 + (i >> 8) * 13);
		var filled = period;
		while (filled < length) {
			var size = length - filled < period ? length - filled : period;
			bytes.blit(filled, bytes, 0, size);
			filled += size;
		}
		return bytes;
	}

	public static function fail(what:String, ?where:PosInfos):Void {
		throw new haxe.Exception('${where.fileName}:${where.lineNumber}: $what');
	}

	static function quote(value:Dynamic):String {
		return Std.isOfType(value, String) ? '"$value"' : Std.string(value);
	}
}
