package serversocket.internal;

#if neko
import haxe.Int64;
import haxe.io.Bytes;
import neko.Lib;
import serversocket.internal.Value;

/** The C library on neko, through `neko/shim.c`. Nothing is thrown through C: `deliver` catches all. **/
class NekoBinding {
	public static function lastErrorId():Int {
		return nativeErrorId();
	}

	public static function lastErrorMessage():String {
		return haxeText(nativeErrorMessage());
	}

	public static function lastErrorDetail():String {
		return haxeText(nativeErrorDetail());
	}

	public static function lastOsError():Int {
		return nativeOsError();
	}

	public static function isSupported():Bool {
		return nativeSupported();
	}

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
		return made(nativeNewServer());
	}

	public static function newSocket():Handle {
		return made(nativeNewSocket());
	}

	public static function setOption(handle:Handle, option:Int, value:Int):Int {
		return nativeSetOption(handle, option, value);
	}

	public static function getOption(handle:Handle, option:Int):Int {
		return result(nativeGetOption(handle, option));
	}

	public static function bind(handle:Handle, port:Int, address:String):Int {
		return nativeBind(handle, port, nekoText(address));
	}

	public static function listen(handle:Handle, backlog:Int):Int {
		return nativeListen(handle, backlog);
	}

	public static function closeServer(handle:Handle):Int {
		return nativeCloseServer(handle);
	}

	public static function pauseServer(handle:Handle):Int {
		return nativePauseServer(handle);
	}

	public static function resumeServer(handle:Handle):Int {
		return nativeResumeServer(handle);
	}

	public static function isBound(handle:Handle):Bool {
		return nativeBound(handle);
	}

	public static function isListening(handle:Handle):Bool {
		return nativeListening(handle);
	}

	public static function serverAddress(handle:Handle):String {
		return haxeText(nativeServerAddress(handle));
	}

	public static function serverPort(handle:Handle):Int {
		return nativeServerPort(handle);
	}

	public static function connect(handle:Handle, host:String, port:Int):Int {
		return nativeConnect(handle, nekoText(host), port);
	}

	public static function closeSocket(handle:Handle):Int {
		return nativeCloseSocket(handle);
	}

	public static function abort(handle:Handle):Int {
		return nativeAbort(handle);
	}

	public static function flush(handle:Handle):Int {
		return nativeFlush(handle);
	}

	public static function pauseSocket(handle:Handle):Int {
		return nativePauseSocket(handle);
	}

	public static function resumeSocket(handle:Handle):Int {
		return nativeResumeSocket(handle);
	}

	public static function isConnected(handle:Handle):Bool {
		return nativeConnected(handle);
	}

	public static function bytesAvailable(handle:Handle):Int {
		return nativeAvailable(handle);
	}

	public static function bytesPending(handle:Handle):Int {
		return nativePending(handle);
	}

	public static function localAddress(handle:Handle):String {
		return haxeText(nativeLocalAddress(handle));
	}

	public static function localPort(handle:Handle):Int {
		return nativeLocalPort(handle);
	}

	public static function remoteAddress(handle:Handle):String {
		return haxeText(nativeRemoteAddress(handle));
	}

	public static function remotePort(handle:Handle):Int {
		return nativeRemotePort(handle);
	}

	public static function endian(handle:Handle):Int {
		return nativeEndian(handle);
	}

	public static function setEndian(handle:Handle, endian:Int):Int {
		return nativeSetEndian(handle, endian);
	}

	public static function objectEncoding(handle:Handle):Int {
		return nativeEncoding(handle);
	}

	public static function setObjectEncoding(handle:Handle, encoding:Int):Int {
		return nativeSetEncoding(handle, encoding);
	}

	public static function timeout(handle:Handle):Int {
		return nativeTimeout(handle);
	}

	public static function setTimeout(handle:Handle, timeout:Int):Int {
		return nativeSetTimeout(handle, timeout);
	}

	public static function skip(handle:Handle, length:Int):Int {
		return nativeSkip(handle, length);
	}

	public static function readBytes(handle:Handle, bytes:Bytes, offset:Int, length:Int):Int {
		return nativeReadBytes(handle, bytes.getData(), offset, length);
	}

	public static function writeBytes(handle:Handle, bytes:Bytes, offset:Int, length:Int):Int {
		return nativeWriteBytes(handle, bytes.getData(), offset, length);
	}

	public static function readBoolean(handle:Handle):Bool {
		return result(nativeReadBoolean(handle));
	}

	public static function readByte(handle:Handle):Int {
		return result(nativeReadByte(handle));
	}

	public static function readUnsignedByte(handle:Handle):Int {
		return result(nativeReadUnsignedByte(handle));
	}

	public static function readShort(handle:Handle):Int {
		return result(nativeReadShort(handle));
	}

	public static function readUnsignedShort(handle:Handle):Int {
		return result(nativeReadUnsignedShort(handle));
	}

	public static function readInt(handle:Handle):Int {
		return result(nativeReadInt(handle));
	}

	public static function readUnsignedInt(handle:Handle):Int {
		return result(nativeReadUnsignedInt(handle));
	}

	public static function readFloat(handle:Handle):Float {
		return result(nativeReadFloat(handle));
	}

	public static function readDouble(handle:Handle):Float {
		return result(nativeReadDouble(handle));
	}

	public static function writeBoolean(handle:Handle, value:Bool):Int {
		return nativeWriteBoolean(handle, value);
	}

	public static function writeByte(handle:Handle, value:Int):Int {
		return nativeWriteByte(handle, value);
	}

	public static function writeShort(handle:Handle, value:Int):Int {
		return nativeWriteShort(handle, value);
	}

	public static function writeInt(handle:Handle, value:Int):Int {
		return nativeWriteInt(handle, value);
	}

	public static function writeFloat(handle:Handle, value:Float):Int {
		return nativeWriteFloat(handle, value);
	}

	public static function writeDouble(handle:Handle, value:Float):Int {
		return nativeWriteDouble(handle, value);
	}

	public static function writeUTF(handle:Handle, text:String):Int {
		return nativeWriteUtf(handle, nekoText(text));
	}

	public static function writeMultiByte(handle:Handle, text:String, charset:String):Int {
		return nativeWriteMultiByte(handle, nekoText(text), nekoText(charset));
	}

	public static function readUTF(handle:Handle):String {
		var bytes = Bytes.ofData(result(nativeReadUtf(handle)));
		return Text.decode(bytes, 0, bytes.length);
	}

	public static function readUTFBytes(handle:Handle, byteLength:Int):String {
		return readMultiByte(handle, byteLength, "utf-8"); // which makes U+FFFD of what is malformed
	}

	public static function readMultiByte(handle:Handle, byteLength:Int, charset:String):String {
		return haxeText(result(nativeReadMultiByte(handle, byteLength, nekoText(charset))));
	}

	public static function readObject(handle:Handle):Value {
		return result(nativeReadObject(handle));
	}

	public static function writeObject(handle:Handle, value:Value):Int {
		return nativeWriteObject(handle, value);
	}

	public static function newValue():Value {
		return madeValue(nativeNewValue());
	}

	static function madeValue(value:Null<Value>):Value {
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

	public static function valueType(value:Value):Int {
		return nativeValueType(value);
	}

	public static function valueBoolean(value:Value):Bool {
		return nativeValueBoolean(value);
	}

	public static function valueNumber(value:Value):Float {
		return nativeValueNumber(value);
	}

	/** A word that is the same for the same text; 0 if there is none. **/
	public static function valueTextAddress(value:Value, which:TextOf):Int64 {
		return Int64.make(nativeTextHigh(value, which), nativeTextLow(value, which));
	}

	/** A copy. **/
	public static function valueText(value:Value, which:TextOf):Bytes {
		return Bytes.ofData(nativeText(value, which));
	}

	public static function valueItemCount(value:Value):Int {
		return nativeItemCount(value);
	}

	public static function valueItem(value:Value, index:Int):Value {
		return madeValue(nativeItem(value, index));
	}

	public static function valuePropertyCount(value:Value):Int {
		return nativePropertyCount(value);
	}

	public static function valueProperty(value:Value, index:Int):Value {
		return madeValue(nativeProperty(value, index));
	}

	public static function setValue(value:Value, type:ValueType):Int {
		return nativeSetValue(value, type);
	}

	public static function setValueBoolean(value:Value, boolean:Bool):Int {
		return nativeSetBoolean(value, boolean);
	}

	public static function setValueInteger(value:Value, integer:Int):Int {
		return nativeSetInteger(value, integer);
	}

	public static function setValueNumber(value:Value, number:Float):Int {
		return nativeSetNumber(value, number);
	}

	public static function setValueDate(value:Value, milliseconds:Float):Int {
		return nativeSetDate(value, milliseconds);
	}

	public static function setValueBytes(value:Value, type:ValueType, bytes:Bytes, length:Int):Int {
		return nativeSetBytes(value, type, bytes.getData(), length);
	}

	public static function setValueClass(value:Value, name:String):Int {
		return nativeSetClass(value, nekoText(name));
	}

	public static function assignValue(value:Value, other:Value):Int {
		return nativeAssign(value, other);
	}

	public static function addItem(value:Value):Value {
		return madeValue(nativeAddItem(value));
	}

	public static function addProperty(value:Value, name:String):Value {
		return madeValue(nativeAddProperty(value, nekoText(name)));
	}

	/** What the shim calls for each event. **/
	static function deliver(key:Int, kind:EventKind, first:Float, second:Float, accepted:Null<Handle>, text:Dynamic):Void {
		var object = Home.current().find(key);
		if (object != null) // else it was collected, and is released by the loop in a moment
			object.__hear(kind, first, second, accepted, haxeText(text));
	}

	static function made(handle:Null<Handle>):Handle {
		if (handle == null)
			Failure.raiseOfConstructor();
		return handle;
	}

	/** A function's result; null means that it has failed. **/
	static function result(value:Dynamic):Dynamic {
		if (value == null)
			Failure.raise(nativeStatus());
		return value;
	}

	/** Strings of neko are not Haxe's: those are objects. **/
	static function haxeText(text:Dynamic):Null<String> {
		return text == null ? null : Lib.nekoToHaxe(text);
	}

	static function nekoText(text:Null<String>):Dynamic {
		return text == null ? null : Lib.haxeToNeko(text);
	}

	static function __init__():Void {
		nativeOnEvent(deliver);
	}

	static final nativeErrorId = Lib.load("serversocket", "hs_error_id", 0);
	static final nativeErrorMessage = Lib.load("serversocket", "hs_error_message", 0);
	static final nativeErrorDetail = Lib.load("serversocket", "hs_error_detail", 0);
	static final nativeOsError = Lib.load("serversocket", "hs_os_error", 0);
	static final nativeSupported = Lib.load("serversocket", "hs_supported", 0);
	static final nativePoll = Lib.load("serversocket", "hs_poll", 1);
	static final nativeRun = Lib.load("serversocket", "hs_run", 0);
	static final nativeStop = Lib.load("serversocket", "hs_stop", 0);
	static final nativeAddListener = Lib.load("serversocket", "hs_add_listener", 3);
	static final nativeRemoveListener = Lib.load("serversocket", "hs_remove_listener", 3);
	static final nativeNewServer = Lib.load("serversocket", "hs_new_server", 0);
	static final nativeNewSocket = Lib.load("serversocket", "hs_new_socket", 0);
	static final nativeSetOption = Lib.load("serversocket", "hs_set_option", 3);
	static final nativeGetOption = Lib.load("serversocket", "hs_get_option", 2);
	static final nativeBind = Lib.load("serversocket", "hs_bind", 3);
	static final nativeListen = Lib.load("serversocket", "hs_listen", 2);
	static final nativeCloseServer = Lib.load("serversocket", "hs_close_server", 1);
	static final nativePauseServer = Lib.load("serversocket", "hs_pause_server", 1);
	static final nativeResumeServer = Lib.load("serversocket", "hs_resume_server", 1);
	static final nativeBound = Lib.load("serversocket", "hs_bound", 1);
	static final nativeListening = Lib.load("serversocket", "hs_listening", 1);
	static final nativeServerAddress = Lib.load("serversocket", "hs_server_address", 1);
	static final nativeServerPort = Lib.load("serversocket", "hs_server_port", 1);
	static final nativeConnect = Lib.load("serversocket", "hs_connect", 3);
	static final nativeCloseSocket = Lib.load("serversocket", "hs_close_socket", 1);
	static final nativeAbort = Lib.load("serversocket", "hs_abort", 1);
	static final nativeFlush = Lib.load("serversocket", "hs_flush", 1);
	static final nativePauseSocket = Lib.load("serversocket", "hs_pause_socket", 1);
	static final nativeResumeSocket = Lib.load("serversocket", "hs_resume_socket", 1);
	static final nativeConnected = Lib.load("serversocket", "hs_connected", 1);
	static final nativeAvailable = Lib.load("serversocket", "hs_available", 1);
	static final nativePending = Lib.load("serversocket", "hs_pending", 1);
	static final nativeLocalAddress = Lib.load("serversocket", "hs_local_address", 1);
	static final nativeLocalPort = Lib.load("serversocket", "hs_local_port", 1);
	static final nativeRemoteAddress = Lib.load("serversocket", "hs_remote_address", 1);
	static final nativeRemotePort = Lib.load("serversocket", "hs_remote_port", 1);
	static final nativeEndian = Lib.load("serversocket", "hs_endian", 1);
	static final nativeSetEndian = Lib.load("serversocket", "hs_set_endian", 2);
	static final nativeEncoding = Lib.load("serversocket", "hs_encoding", 1);
	static final nativeSetEncoding = Lib.load("serversocket", "hs_set_encoding", 2);
	static final nativeTimeout = Lib.load("serversocket", "hs_timeout", 1);
	static final nativeSetTimeout = Lib.load("serversocket", "hs_set_timeout", 2);
	static final nativeSkip = Lib.load("serversocket", "hs_skip", 2);
	static final nativeReadBytes = Lib.load("serversocket", "hs_read_bytes", 4);
	static final nativeWriteBytes = Lib.load("serversocket", "hs_write_bytes", 4);
	static final nativeReadBoolean = Lib.load("serversocket", "hs_read_boolean", 1);
	static final nativeReadByte = Lib.load("serversocket", "hs_read_byte", 1);
	static final nativeReadUnsignedByte = Lib.load("serversocket", "hs_read_unsigned_byte", 1);
	static final nativeReadShort = Lib.load("serversocket", "hs_read_short", 1);
	static final nativeReadUnsignedShort = Lib.load("serversocket", "hs_read_unsigned_short", 1);
	static final nativeReadInt = Lib.load("serversocket", "hs_read_int", 1);
	static final nativeReadUnsignedInt = Lib.load("serversocket", "hs_read_unsigned_int", 1);
	static final nativeReadFloat = Lib.load("serversocket", "hs_read_float", 1);
	static final nativeReadDouble = Lib.load("serversocket", "hs_read_double", 1);
	static final nativeWriteBoolean = Lib.load("serversocket", "hs_write_boolean", 2);
	static final nativeWriteByte = Lib.load("serversocket", "hs_write_byte", 2);
	static final nativeWriteShort = Lib.load("serversocket", "hs_write_short", 2);
	static final nativeWriteInt = Lib.load("serversocket", "hs_write_int", 2);
	static final nativeWriteFloat = Lib.load("serversocket", "hs_write_float", 2);
	static final nativeWriteDouble = Lib.load("serversocket", "hs_write_double", 2);
	static final nativeWriteUtf = Lib.load("serversocket", "hs_write_utf", 2);
	static final nativeWriteMultiByte = Lib.load("serversocket", "hs_write_multi_byte", 3);
	static final nativeReadUtf = Lib.load("serversocket", "hs_read_utf", 1);
	static final nativeReadMultiByte = Lib.load("serversocket", "hs_read_multi_byte", 3);
	static final nativeReadObject = Lib.load("serversocket", "hs_read_object", 1);
	static final nativeWriteObject = Lib.load("serversocket", "hs_write_object", 2);
	static final nativeNewValue = Lib.load("serversocket", "hs_new_value", 0);
	static final nativeReleaseValue = Lib.load("serversocket", "hs_release_value", 1);
	static final nativeValueLow = Lib.load("serversocket", "hs_value_low", 1);
	static final nativeValueHigh = Lib.load("serversocket", "hs_value_high", 1);
	static final nativeValueType = Lib.load("serversocket", "hs_value_type", 1);
	static final nativeValueBoolean = Lib.load("serversocket", "hs_value_boolean", 1);
	static final nativeValueNumber = Lib.load("serversocket", "hs_value_number", 1);
	static final nativeTextLow = Lib.load("serversocket", "hs_text_low", 2);
	static final nativeTextHigh = Lib.load("serversocket", "hs_text_high", 2);
	static final nativeText = Lib.load("serversocket", "hs_text", 2);
	static final nativeItemCount = Lib.load("serversocket", "hs_item_count", 1);
	static final nativeItem = Lib.load("serversocket", "hs_item", 2);
	static final nativePropertyCount = Lib.load("serversocket", "hs_property_count", 1);
	static final nativeProperty = Lib.load("serversocket", "hs_property", 2);
	static final nativeSetValue = Lib.load("serversocket", "hs_set_value", 2);
	static final nativeSetBoolean = Lib.load("serversocket", "hs_set_boolean", 2);
	static final nativeSetInteger = Lib.load("serversocket", "hs_set_integer", 2);
	static final nativeSetNumber = Lib.load("serversocket", "hs_set_number", 2);
	static final nativeSetDate = Lib.load("serversocket", "hs_set_date", 2);
	static final nativeSetBytes = Lib.load("serversocket", "hs_set_bytes", 4);
	static final nativeSetClass = Lib.load("serversocket", "hs_set_class", 2);
	static final nativeAssign = Lib.load("serversocket", "hs_assign", 2);
	static final nativeAddItem = Lib.load("serversocket", "hs_add_item", 1);
	static final nativeAddProperty = Lib.load("serversocket", "hs_add_property", 2);
	static final nativeStatus = Lib.load("serversocket", "hs_status", 0);
	static final nativeOnEvent = Lib.load("serversocket", "hs_on_event", 1);
}
#end
