// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** The classes that have a name in AMF: those of OpenFL's `Lib.registerClassAlias`. **/
class Aliases {
	public static function classOf(alias:String):Null<Class<Dynamic>> {
		return Registry.aliases().get(alias);
	}

	public static function aliasOf(type:Class<Dynamic>):Null<String> {
		var name = Type.getClassName(type);
		for (alias => known in Registry.aliases())
			if (Type.getClassName(known) == name)
				return alias;
		return null;
	}
}
