// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.macro.Context;
import haxe.macro.Expr;

/** OpenFL's registry of class aliases, which its older versions have not. **/
class Registry {
	public static macro function aliases():Expr {
		return switch (Context.getType("openfl.Lib")) {
			case TInst(_.get() => lib, _) if (Lambda.exists(lib.statics.get(), field -> field.name == "__registeredClassAliases")):
				macro @:privateAccess openfl.Lib.__registeredClassAliases;
			case _:
				macro(new Map<String, Class<Dynamic>>());
		}
	}
}
