// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if cpp
import haxe.io.Bytes;

/** Where bytes lie, for the time of one call. **/
@:unreflective
class Address {
	public static inline function of(bytes:Bytes, offset:Int):cpp.RawPointer<cpp.Void> {
		return untyped __cpp__("{0}->Pointer() + {1}", bytes.getData(), offset);
	}

	public static inline function ofConst(bytes:Bytes, offset:Int):cpp.RawConstPointer<cpp.Void> {
		return untyped __cpp__("{0}->Pointer() + {1}", bytes.getData(), offset);
	}

	public static inline function ofText(bytes:Bytes):cpp.RawPointer<cpp.Char> {
		return untyped __cpp__("reinterpret_cast<char *>({0}->Pointer())", bytes.getData());
	}
}
#end
