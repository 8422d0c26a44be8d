// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** The classes that have a name in AMF. **/
class Aliases {
	public static inline function classOf(alias:String):Null<Class<Dynamic>> {
		return Lib.__classOf(alias);
	}

	public static inline function aliasOf(type:Class<Dynamic>):Null<String> {
		return Lib.__aliasOf(type);
	}
}
