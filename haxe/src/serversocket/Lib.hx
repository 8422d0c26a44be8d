// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Text;
import sys.thread.Mutex;

/** Of OpenFL's `Lib`, what `Socket.readObject` and `Socket.writeObject` go by: the classes that have a name in AMF. **/
class Lib {
	static final lock = new Mutex();
	static final classes = new Map<String, Class<Dynamic>>();

	/** By the names of classes in Haxe. **/
	static final aliases = new Map<String, String>();

	/**
		Gives a class its name in AMF. Its instances are written under that name with all their variables and read-write
		properties, and what a peer has written under it is read as such an instance: made by the constructor, without
		arguments, and then filled. Peers choose what they send: register no class that must not be filled by them.

		Counts for all threads. Throws TypeError: a parameter is null. ArgumentError: the name is empty or has a NUL.
	**/
	public static function registerClassAlias(aliasName:String, classObject:Class<Dynamic>):Void {
		if (aliasName == null)
			throw new TypeError("Parameter aliasName must be non-null.", 2007);
		if (classObject == null)
			throw new TypeError("Parameter classObject must be non-null.", 2007);
		if (aliasName == "" || Text.hasNul(aliasName))
			throw new ArgumentError("One of the parameters is invalid.", 2004);
		lock.acquire();
		classes.set(aliasName, classObject);
		aliases.set(Type.getClassName(classObject), aliasName);
		lock.release();
	}

	/** The class of that name. Throws Error: there is none. **/
	public static function getClassByAlias(aliasName:String):Class<Dynamic> {
		if (aliasName == null)
			throw new TypeError("Parameter aliasName must be non-null.", 2007);
		var found = __classOf(aliasName);
		if (found == null)
			throw new Error('Class $aliasName could not be found.', 1014);
		return found;
	}

	@:allow(serversocket.internal)
	static function __classOf(aliasName:String):Null<Class<Dynamic>> {
		lock.acquire();
		var found = classes.get(aliasName);
		lock.release();
		return found;
	}

	@:allow(serversocket.internal)
	static function __aliasOf(classObject:Class<Dynamic>):Null<String> {
		lock.acquire();
		var alias = aliases.get(Type.getClassName(classObject));
		lock.release();
		return alias;
	}
}
