// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if macro
import haxe.Int64;
import haxe.io.Bytes;
import serversocket.internal.Value;

/** In macros: the names, so that a module with sockets in it can be typed there, too. None of it is ever run. **/
class MacroBinding {
	public static inline final NOTHING = "there are no sockets in macros";

	public static function poll(timeout:Int):Int
		throw NOTHING;

	public static function run():Int
		throw NOTHING;

	public static function stop():Int
		throw NOTHING;

	public static function addListener(handle:Handle, kind:EventKind, key:Int):Int
		throw NOTHING;

	public static function removeListener(handle:Handle, kind:EventKind, key:Int):Int
		throw NOTHING;

	public static function newServer():Handle
		throw NOTHING;

	public static function newSocket():Handle
		throw NOTHING;

	public static function newTimer(delay:Int, period:Int, key:Int):Handle
		throw NOTHING;

	public static function peerCredentials(socket:Handle):Array<Int>
		throw NOTHING;

	public static function newTls():Handle
		throw NOTHING;

	public static function setIdentity(tls:Handle, name:String, chain:Null<Bytes>, chainLength:Int, key:Null<Bytes>, keyLength:Int):Int
		throw NOTHING;

	public static function setTicketSecret(tls:Handle, secret:Null<Bytes>, length:Int):Int
		throw NOTHING;

	public static function peerCertificate(socket:Handle, index:Int):Null<Bytes>
		throw NOTHING;

	public static function releaseValue(value:Value):Void
		throw NOTHING;

	public static function valueWord(value:Value):Int64
		throw NOTHING;

	public static function valueTextAddress(value:Value, which:TextOf):Int64
		throw NOTHING;

	public static function valueText(value:Value, which:TextOf):Bytes
		throw NOTHING;
}
#end
