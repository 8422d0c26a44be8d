// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** What of a class's instances goes into AMF: variables, and properties that have both a getter and a setter. **/
class Members {
	final known = new Map<String, Array<String>>();

	public function new() {}

	public function of(type:Class<Dynamic>):Array<String> {
		var className = Type.getClassName(type);
		var members = known.get(className);
		if (members == null)
			known.set(className, members = find(type));
		return members;
	}

	/** Methods are among them still: they are told by their values. **/
	static function find(type:Class<Dynamic>):Array<String> {
		var members = Type.getInstanceFields(type);
		for (field in members.copy()) {
			var name = field.substr(4);
			if (StringTools.startsWith(field, "get_") && members.indexOf('set_$name') >= 0 && members.indexOf(name) < 0)
				members.push(name);
		}
		return members;
	}

	public static function isMethod(object:Dynamic, member:String):Bool {
		return Reflect.isFunction(Reflect.field(object, member));
	}
}
