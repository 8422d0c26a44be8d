// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if neko
import haxe.Int64;
import haxe.io.Bytes;
import neko.Lib;
import serversocket.internal.Value;

/** What of the C library needs more than a call, on neko, through `neko/shim.c`. Nothing is thrown through C: `deliver` catches all. **/
class NekoBinding {
	public static function poll(timeout:Int):Int {
		return result(nativePoll(timeout));
	}

	public static function run():Int {
		return nativeRun();
	}

	public static function stop():Int {
		return nativeStop();
	}

	public static function addListener(handle:Handle, kind:EventKind, key:Int):Int {
		return nativeAddListener(handle, kind, key);
	}

	public static function removeListener(handle:Handle, kind:EventKind, key:Int):Int {
		return nativeRemoveListener(handle, kind, key);
	}

	public static function newServer():Handle {
		return owned(nativeNewServer());
	}

	public static function newSocket():Handle {
		return owned(nativeNewSocket());
	}

	/** Starts at once. **/
	public static function newTimer(delay:Int, period:Int, key:Int):Handle {
		return owned(nativeNewTimer(delay, period, key));
	}

	/** The user, the group and the process. **/
	public static function peerCredentials(socket:Handle):Array<Int> {
		var found:neko.NativeArray<Int> = result(nativePeerCredentials(socket));
		return [for (i in 0...3) found[i]];
	}

	public static function newTls():Handle {
		return owned(nativeNewTls());
	}

	/** Without a chain, the identity of that name is removed. **/
	public static function setIdentity(tls:Handle, name:String, chain:Null<Bytes>, chainLength:Int, key:Null<Bytes>, keyLength:Int):Int {
		return nativeSetIdentity(tls, toNeko(name), chain == null ? null : chain.sub(0, chainLength).getData(),
			key == null ? null : key.sub(0, keyLength).getData());
	}

	public static function setTicketSecret(tls:Handle, secret:Null<Bytes>, length:Int):Int {
		return nativeSetTicketSecret(tls, secret == null ? null : secret.sub(0, length).getData());
	}

	/** A copy, null if there is none. **/
	public static function peerCertificate(socket:Handle, index:Int):Null<Bytes> {
		var found = nativePeerCertificate(socket, index);
		return found == null ? null : Bytes.ofData(found);
	}

	/** A value that C has returned, unless it has failed. **/
	public static function made(value:Null<Value>):Value {
		if (value == null)
			Failure.raiseOfConstructor();
		return value;
	}

	public static function releaseValue(value:Value):Void {
		nativeReleaseValue(value);
	}

	/** The value as a word, which is the same for the same value. **/
	public static function valueWord(value:Value):Int64 {
		return Int64.make(nativeValueHigh(value), nativeValueLow(value));
	}

	/** A word that is the same for the same text; 0 if there is none. **/
	public static function valueTextAddress(value:Value, which:TextOf):Int64 {
		return Int64.make(nativeTextHigh(value, which), nativeTextLow(value, which));
	}

	/** A copy. **/
	public static function valueText(value:Value, which:TextOf):Bytes {
		return Bytes.ofData(nativeText(value, which));
	}

	/** What the shim calls for each event. **/
	static function deliver(key:Int, kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Dynamic):Void {
		var object = Home.current().find(key);
		if (object != null) // else it was collected, and is released by the loop in a moment
			object.__tell(kind, first, second, accepted, toHaxe(text));
	}

	/** What the shim calls for each timer that is due. **/
	static function tick(key:Int):Void {
		Home.current().tick(key);
	}

	static function owned(handle:Null<Handle>):Handle {
		if (handle == null)
			Failure.raiseOfConstructor();
		return handle;
	}

	/** A function's result; null means that it has failed. **/
	public static function result(value:Dynamic):Dynamic {
		if (value == null)
			Failure.raise(nativeStatus());
		return value;
	}

	/** Strings of neko are not Haxe's: those are objects. **/
	public static function toHaxe(text:Dynamic):Null<String> {
		return text == null ? null : Lib.nekoToHaxe(text);
	}

	public static function toNeko(text:Null<String>):Dynamic {
		return text == null ? null : Lib.haxeToNeko(text);
	}

	static function __init__():Void {
		nativeOnEvent(deliver, tick);
	}

	static final nativePoll = Lib.load("serversocket", "hs_poll", 1);
	static final nativeRun = Lib.load("serversocket", "hs_run", 0);
	static final nativeStop = Lib.load("serversocket", "hs_stop", 0);
	static final nativeAddListener = Lib.load("serversocket", "hs_add_listener", 3);
	static final nativeRemoveListener = Lib.load("serversocket", "hs_remove_listener", 3);
	static final nativeNewServer = Lib.load("serversocket", "hs_new_server", 0);
	static final nativeNewSocket = Lib.load("serversocket", "hs_new_socket", 0);
	static final nativeNewTimer = Lib.load("serversocket", "hs_new_timer", 3);
	static final nativeNewTls = Lib.load("serversocket", "hs_new_tls", 0);
	static final nativeSetIdentity = Lib.load("serversocket", "hs_set_identity", 4);
	static final nativeSetTicketSecret = Lib.load("serversocket", "hs_set_ticket_secret", 2);
	static final nativePeerCertificate = Lib.load("serversocket", "hs_peer_certificate", 2);
	static final nativePeerCredentials = Lib.load("serversocket", "hs_peer_credentials", 1);
	static final nativeReleaseValue = Lib.load("serversocket", "hs_release_value", 1);
	static final nativeValueLow = Lib.load("serversocket", "hs_value_low", 1);
	static final nativeValueHigh = Lib.load("serversocket", "hs_value_high", 1);
	static final nativeTextLow = Lib.load("serversocket", "hs_text_low", 2);
	static final nativeTextHigh = Lib.load("serversocket", "hs_text_high", 2);
	static final nativeText = Lib.load("serversocket", "hs_text", 2);
	static final nativeStatus = Lib.load("serversocket", "hs_status", 0);
	static final nativeOnEvent = Lib.load("serversocket", "hs_on_event", 2);
}
#end
