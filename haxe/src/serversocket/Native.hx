package serversocket;

#if cpp
/**
	The C interface, one to one: the names, orders and types of `include/server_socket.h`, whose comments are the
	documentation. `haxe/tests` compares this file with the header.

	Handles are opaque pointers by value. The rules of the header hold: above all, a listener must not throw, and
	whoever lets `ss_loop_poll` wait in a zone free of the collector has to leave that zone in the listener. The classes
	of this package do both; use them unless you need what only C has.
**/
@:include("server_socket.h")
@:build(serversocket.internal.Build.addBuildXml())
extern class Native {
	static inline final SS_OK = 0;
	static inline final SS_ERR_ERROR = 1;
	static inline final SS_ERR_ARGUMENT = 2;
	static inline final SS_ERR_RANGE = 3;
	static inline final SS_ERR_IO = 4;
	static inline final SS_ERR_EOF = 5;
	static inline final SS_ERR_SECURITY = 6;
	static inline final SS_ERR_TYPE = 7;
	static inline final SS_ERR_HANDLE = 20;
	static inline final SS_ERR_THREAD = 21;
	static inline final SS_ERR_REENTRANT = 22;
	static inline final SS_ERR_FULL = 23;
	static inline final SS_ERR_UNSUPPORTED = 24;
	static inline final SS_ERR_NO_MEMORY = 25;
	static inline final SS_ERR_FORKED = 26;
	static inline final SS_ERR_PANIC = 99;
	static inline final SS_KIND_LOOP = 1;
	static inline final SS_KIND_SERVER = 2;
	static inline final SS_KIND_SOCKET = 3;
	static inline final SS_KIND_EVENT = 4;
	static inline final SS_KIND_VALUE = 6;
	static inline final SS_PHASE_CAPTURING = 1;
	static inline final SS_PHASE_AT_TARGET = 2;
	static inline final SS_PHASE_BUBBLING = 3;
	static inline final SS_BIG_ENDIAN = 0;
	static inline final SS_LITTLE_ENDIAN = 1;
	static inline final SS_LOG_ERROR = 1;
	static inline final SS_LOG_WARNING = 2;
	static inline final SS_AMF0 = 0;
	static inline final SS_AMF3 = 3;
	static inline final SS_VALUE_UNDEFINED = 1;
	static inline final SS_VALUE_NULL = 2;
	static inline final SS_VALUE_BOOLEAN = 3;
	static inline final SS_VALUE_INTEGER = 4;
	static inline final SS_VALUE_NUMBER = 5;
	static inline final SS_VALUE_STRING = 6;
	static inline final SS_VALUE_DATE = 7;
	static inline final SS_VALUE_BYTE_ARRAY = 8;
	static inline final SS_VALUE_XML = 9;
	static inline final SS_VALUE_XML_DOCUMENT = 10;
	static inline final SS_VALUE_ARRAY = 11;
	static inline final SS_VALUE_OBJECT = 12;
	static inline final SS_VALUE_VECTOR_INT = 13;
	static inline final SS_VALUE_VECTOR_UINT = 14;
	static inline final SS_VALUE_VECTOR_NUMBER = 15;
	static inline final SS_VALUE_VECTOR_OBJECT = 16;
	static inline final SS_VALUE_DICTIONARY = 17;
	static inline final SS_OPT_NO_DELAY = 1;
	static inline final SS_OPT_DUAL_STACK = 2;
	static inline final SS_OPT_REUSE_PORT = 3;
	static inline final SS_OPT_MAX_CONNECTIONS = 4;
	static inline final SS_OPT_READ_LIMIT = 5;
	static inline final SS_OPT_WRITE_LIMIT = 6;
	static inline final SS_OPT_LINGER = 7;
	static inline final SS_OPT_IDLE_TIMEOUT = 8;
	static inline final SS_OPT_KEEP_ALIVE = 9;
	static inline final SS_OPT_IDLE_BYTES = 10;

	@:native("::ss_status_name") static function ss_status_name(status:cpp.Int32):cpp.ConstCharStar;
	@:native("::ss_last_error_id") static function ss_last_error_id():cpp.Int32;
	@:native("::ss_last_error_message") static function ss_last_error_message():cpp.ConstCharStar;
	@:native("::ss_last_error_detail") static function ss_last_error_detail():cpp.ConstCharStar;
	@:native("::ss_last_status") static function ss_last_status():Status;
	@:native("::ss_last_os_error") static function ss_last_os_error():cpp.Int32;
	@:native("::ss_version") static function ss_version():cpp.UInt32;
	@:native("::ss_is_supported") static function ss_is_supported():Bool;
	@:native("::ss_loop_new") static function ss_loop_new():LoopHandle;
	@:native("::ss_loop_default") static function ss_loop_default():LoopHandle;
	@:native("::ss_loop_poll") static function ss_loop_poll(loop:LoopHandle, timeoutMs:cpp.Int32, events:cpp.RawPointer<cpp.UInt32>):Status;
	@:native("::ss_loop_run") static function ss_loop_run(loop:LoopHandle):Status;
	@:native("::ss_loop_stop") static function ss_loop_stop(loop:LoopHandle):Status;
	@:native("::ss_loop_wake") static function ss_loop_wake(loop:LoopHandle):Status;
	@:native("::ss_loop_post") static function ss_loop_post(loop:LoopHandle, task:Task, userData:cpp.RawPointer<cpp.Void>, cancelled:Task):Status;
	@:native("::ss_loop_fd") static function ss_loop_fd(loop:LoopHandle, fd:cpp.RawPointer<cpp.Int64>):Status;
	@:native("::ss_loop_timeout") static function ss_loop_timeout(loop:LoopHandle):cpp.Int32;
	@:native("::ss_new") static function ss_new(loop:LoopHandle):ServerHandle;
	@:native("::ss_bind") static function ss_bind(server:ServerHandle, localPort:cpp.Int32, localAddress:cpp.ConstCharStar):Status;
	@:native("::ss_listen") static function ss_listen(server:ServerHandle, backlog:cpp.Int32):Status;
	@:native("::ss_close") static function ss_close(server:ServerHandle):Status;
	@:native("::ss_adopt") static function ss_adopt(server:ServerHandle, fd:cpp.Int64, listening:Bool):Status;
	@:native("::ss_pause") static function ss_pause(server:ServerHandle):Status;
	@:native("::ss_resume") static function ss_resume(server:ServerHandle):Status;
	@:native("::ss_bound") static function ss_bound(server:ServerHandle):Bool;
	@:native("::ss_listening") static function ss_listening(server:ServerHandle):Bool;
	@:native("::ss_local_address") static function ss_local_address(server:ServerHandle):cpp.ConstCharStar;
	@:native("::ss_local_port") static function ss_local_port(server:ServerHandle):cpp.Int32;
	@:native("::ss_object_kind") static function ss_object_kind(object:ObjectHandle):cpp.Int32;
	@:native("::ss_retain") static function ss_retain(object:ObjectHandle):Status;
	@:native("::ss_release") static function ss_release(object:ObjectHandle):Status;
	@:native("::ss_set_user_data") static function ss_set_user_data(object:ObjectHandle, userData:cpp.RawPointer<cpp.Void>, destroy:Task):Status;
	@:native("::ss_user_data") static function ss_user_data(object:ObjectHandle):cpp.RawPointer<cpp.Void>;
	@:native("::ss_native_handle") static function ss_native_handle(object:ObjectHandle, fd:cpp.RawPointer<cpp.Int64>):Status;
	@:native("::ss_add_listener") static function ss_add_listener(target:ObjectHandle, type:cpp.ConstCharStar, listener:Listener, userData:cpp.RawPointer<cpp.Void>, useCapture:Bool, priority:cpp.Int32):Status;
	@:native("::ss_add_listener_full") static function ss_add_listener_full(target:ObjectHandle, type:cpp.ConstCharStar, listener:Listener, userData:cpp.RawPointer<cpp.Void>, destroy:Task, useCapture:Bool, priority:cpp.Int32):Status;
	@:native("::ss_remove_listener") static function ss_remove_listener(target:ObjectHandle, type:cpp.ConstCharStar, listener:Listener, userData:cpp.RawPointer<cpp.Void>, useCapture:Bool):Status;
	@:native("::ss_has_listener") static function ss_has_listener(target:ObjectHandle, type:cpp.ConstCharStar):Bool;
	@:native("::ss_will_trigger") static function ss_will_trigger(target:ObjectHandle, type:cpp.ConstCharStar):Bool;
	@:native("::ss_dispatch_event") static function ss_dispatch_event(target:ObjectHandle, event:EventHandle, notPrevented:cpp.RawPointer<Bool>):Status;
	@:native("::ss_event_new") static function ss_event_new(type:cpp.ConstCharStar, bubbles:Bool, cancelable:Bool):EventHandle;
	@:native("::ss_event_clone") static function ss_event_clone(event:EventHandle):EventHandle;
	@:native("::ss_event_type") static function ss_event_type(event:EventHandle):cpp.ConstCharStar;
	@:native("::ss_event_bubbles") static function ss_event_bubbles(event:EventHandle):Bool;
	@:native("::ss_event_cancelable") static function ss_event_cancelable(event:EventHandle):Bool;
	@:native("::ss_event_phase") static function ss_event_phase(event:EventHandle):cpp.Int32;
	@:native("::ss_event_target") static function ss_event_target(event:EventHandle):ObjectHandle;
	@:native("::ss_event_current_target") static function ss_event_current_target(event:EventHandle):ObjectHandle;
	@:native("::ss_event_prevent_default") static function ss_event_prevent_default(event:EventHandle):Status;
	@:native("::ss_event_is_default_prevented") static function ss_event_is_default_prevented(event:EventHandle):Bool;
	@:native("::ss_event_stop_propagation") static function ss_event_stop_propagation(event:EventHandle):Status;
	@:native("::ss_event_stop_immediate_propagation") static function ss_event_stop_immediate_propagation(event:EventHandle):Status;
	@:native("::ss_event_socket") static function ss_event_socket(event:EventHandle):SocketHandle;
	@:native("::ss_event_bytes_loaded") static function ss_event_bytes_loaded(event:EventHandle):cpp.UInt64;
	@:native("::ss_event_bytes_pending") static function ss_event_bytes_pending(event:EventHandle):cpp.UInt64;
	@:native("::ss_event_bytes_total") static function ss_event_bytes_total(event:EventHandle):cpp.UInt64;
	@:native("::ss_event_error_id") static function ss_event_error_id(event:EventHandle):cpp.Int32;
	@:native("::ss_event_text") static function ss_event_text(event:EventHandle):cpp.ConstCharStar;
	@:native("::ss_event_os_error") static function ss_event_os_error(event:EventHandle):cpp.Int32;
	@:native("::ss_event_to_string") static function ss_event_to_string(event:EventHandle, dst:cpp.RawPointer<cpp.Char>, capacity:cpp.SizeT):cpp.SizeT;
	@:native("::ss_socket_new") static function ss_socket_new(loop:LoopHandle):SocketHandle;
	@:native("::ss_socket_connect") static function ss_socket_connect(socket:SocketHandle, host:cpp.ConstCharStar, port:cpp.Int32):Status;
	@:native("::ss_socket_close") static function ss_socket_close(socket:SocketHandle):Status;
	@:native("::ss_socket_abort") static function ss_socket_abort(socket:SocketHandle):Status;
	@:native("::ss_socket_flush") static function ss_socket_flush(socket:SocketHandle):Status;
	@:native("::ss_socket_pause") static function ss_socket_pause(socket:SocketHandle):Status;
	@:native("::ss_socket_resume") static function ss_socket_resume(socket:SocketHandle):Status;
	@:native("::ss_socket_connected") static function ss_socket_connected(socket:SocketHandle):Bool;
	@:native("::ss_socket_bytes_available") static function ss_socket_bytes_available(socket:SocketHandle):cpp.SizeT;
	@:native("::ss_socket_bytes_pending") static function ss_socket_bytes_pending(socket:SocketHandle):cpp.SizeT;
	@:native("::ss_socket_local_address") static function ss_socket_local_address(socket:SocketHandle):cpp.ConstCharStar;
	@:native("::ss_socket_remote_address") static function ss_socket_remote_address(socket:SocketHandle):cpp.ConstCharStar;
	@:native("::ss_socket_local_port") static function ss_socket_local_port(socket:SocketHandle):cpp.Int32;
	@:native("::ss_socket_remote_port") static function ss_socket_remote_port(socket:SocketHandle):cpp.Int32;
	@:native("::ss_socket_timeout") static function ss_socket_timeout(socket:SocketHandle):cpp.UInt32;
	@:native("::ss_socket_set_timeout") static function ss_socket_set_timeout(socket:SocketHandle, timeoutMs:cpp.UInt32):Status;
	@:native("::ss_socket_read") static function ss_socket_read(socket:SocketHandle, dst:cpp.RawPointer<cpp.Void>, capacity:cpp.SizeT):cpp.SizeT;
	@:native("::ss_socket_peek") static function ss_socket_peek(socket:SocketHandle, length:cpp.RawPointer<cpp.SizeT>):cpp.RawConstPointer<cpp.UInt8>;
	@:native("::ss_socket_skip") static function ss_socket_skip(socket:SocketHandle, length:cpp.SizeT):Status;
	@:native("::ss_socket_read_bytes") static function ss_socket_read_bytes(socket:SocketHandle, dst:cpp.RawPointer<cpp.Void>, length:cpp.SizeT):Status;
	@:native("::ss_socket_write_bytes") static function ss_socket_write_bytes(socket:SocketHandle, src:cpp.RawConstPointer<cpp.Void>, length:cpp.SizeT):Status;
	@:native("::ss_socket_endian") static function ss_socket_endian(socket:SocketHandle):cpp.Int32;
	@:native("::ss_socket_set_endian") static function ss_socket_set_endian(socket:SocketHandle, endian:cpp.Int32):Status;
	@:native("::ss_socket_read_boolean") static function ss_socket_read_boolean(socket:SocketHandle, value:cpp.RawPointer<Bool>):Status;
	@:native("::ss_socket_read_byte") static function ss_socket_read_byte(socket:SocketHandle, value:cpp.RawPointer<cpp.Int8>):Status;
	@:native("::ss_socket_read_unsigned_byte") static function ss_socket_read_unsigned_byte(socket:SocketHandle, value:cpp.RawPointer<cpp.UInt8>):Status;
	@:native("::ss_socket_read_short") static function ss_socket_read_short(socket:SocketHandle, value:cpp.RawPointer<cpp.Int16>):Status;
	@:native("::ss_socket_read_unsigned_short") static function ss_socket_read_unsigned_short(socket:SocketHandle, value:cpp.RawPointer<cpp.UInt16>):Status;
	@:native("::ss_socket_read_int") static function ss_socket_read_int(socket:SocketHandle, value:cpp.RawPointer<cpp.Int32>):Status;
	@:native("::ss_socket_read_unsigned_int") static function ss_socket_read_unsigned_int(socket:SocketHandle, value:cpp.RawPointer<cpp.UInt32>):Status;
	@:native("::ss_socket_read_float") static function ss_socket_read_float(socket:SocketHandle, value:cpp.RawPointer<cpp.Float32>):Status;
	@:native("::ss_socket_read_double") static function ss_socket_read_double(socket:SocketHandle, value:cpp.RawPointer<cpp.Float64>):Status;
	@:native("::ss_socket_read_utf") static function ss_socket_read_utf(socket:SocketHandle, dst:cpp.RawPointer<cpp.Char>, capacity:cpp.SizeT, length:cpp.RawPointer<cpp.SizeT>):Status;
	@:native("::ss_socket_read_utf_bytes") static function ss_socket_read_utf_bytes(socket:SocketHandle, byteLength:cpp.SizeT, dst:cpp.RawPointer<cpp.Char>, capacity:cpp.SizeT, length:cpp.RawPointer<cpp.SizeT>):Status;
	@:native("::ss_socket_read_multi_byte") static function ss_socket_read_multi_byte(socket:SocketHandle, byteLength:cpp.SizeT, charset:cpp.ConstCharStar, dst:cpp.RawPointer<cpp.Char>, capacity:cpp.SizeT, length:cpp.RawPointer<cpp.SizeT>):Status;
	@:native("::ss_socket_write_boolean") static function ss_socket_write_boolean(socket:SocketHandle, value:Bool):Status;
	@:native("::ss_socket_write_byte") static function ss_socket_write_byte(socket:SocketHandle, value:cpp.Int32):Status;
	@:native("::ss_socket_write_short") static function ss_socket_write_short(socket:SocketHandle, value:cpp.Int32):Status;
	@:native("::ss_socket_write_int") static function ss_socket_write_int(socket:SocketHandle, value:cpp.Int32):Status;
	@:native("::ss_socket_write_unsigned_int") static function ss_socket_write_unsigned_int(socket:SocketHandle, value:cpp.UInt32):Status;
	@:native("::ss_socket_write_float") static function ss_socket_write_float(socket:SocketHandle, value:cpp.Float32):Status;
	@:native("::ss_socket_write_double") static function ss_socket_write_double(socket:SocketHandle, value:cpp.Float64):Status;
	@:native("::ss_socket_write_utf") static function ss_socket_write_utf(socket:SocketHandle, text:cpp.ConstCharStar):Status;
	@:native("::ss_socket_write_utf_bytes") static function ss_socket_write_utf_bytes(socket:SocketHandle, text:cpp.ConstCharStar):Status;
	@:native("::ss_socket_write_multi_byte") static function ss_socket_write_multi_byte(socket:SocketHandle, text:cpp.ConstCharStar, charset:cpp.ConstCharStar):Status;
	@:native("::ss_set_option") static function ss_set_option(object:ObjectHandle, option:Option, value:cpp.Int64):Status;
	@:native("::ss_get_option") static function ss_get_option(object:ObjectHandle, option:Option, value:cpp.RawPointer<cpp.Int64>):Status;
	@:native("::ss_server_stats") static function ss_server_stats(server:ServerHandle, stats:cpp.RawPointer<NativeStats>):Status;
	@:native("::ss_set_log") static function ss_set_log(log:Log, userData:cpp.RawPointer<cpp.Void>):Status;
	@:native("::ss_socket_read_object") static function ss_socket_read_object(socket:SocketHandle, value:cpp.RawPointer<ValueHandle>):Status;
	@:native("::ss_socket_write_object") static function ss_socket_write_object(socket:SocketHandle, value:ValueHandle):Status;
	@:native("::ss_socket_object_encoding") static function ss_socket_object_encoding(socket:SocketHandle):cpp.Int32;
	@:native("::ss_socket_set_object_encoding") static function ss_socket_set_object_encoding(socket:SocketHandle, encoding:cpp.Int32):Status;
	@:native("::ss_value_new") static function ss_value_new(type:cpp.Int32):ValueHandle;
	@:native("::ss_value_type") static function ss_value_type(value:ValueHandle):cpp.Int32;
	@:native("::ss_value_boolean") static function ss_value_boolean(value:ValueHandle):Bool;
	@:native("::ss_value_number") static function ss_value_number(value:ValueHandle):cpp.Float64;
	@:native("::ss_value_bytes") static function ss_value_bytes(value:ValueHandle, length:cpp.RawPointer<cpp.SizeT>):cpp.ConstCharStar;
	@:native("::ss_value_class_name") static function ss_value_class_name(value:ValueHandle, length:cpp.RawPointer<cpp.SizeT>):cpp.ConstCharStar;
	@:native("::ss_value_item_count") static function ss_value_item_count(value:ValueHandle):cpp.SizeT;
	@:native("::ss_value_item") static function ss_value_item(value:ValueHandle, index:cpp.SizeT):ValueHandle;
	@:native("::ss_value_property_count") static function ss_value_property_count(value:ValueHandle):cpp.SizeT;
	@:native("::ss_value_property_name") static function ss_value_property_name(value:ValueHandle, index:cpp.SizeT, length:cpp.RawPointer<cpp.SizeT>):cpp.ConstCharStar;
	@:native("::ss_value_property_at") static function ss_value_property_at(value:ValueHandle, index:cpp.SizeT):ValueHandle;
	@:native("::ss_value_property") static function ss_value_property(value:ValueHandle, name:cpp.ConstCharStar):ValueHandle;
	@:native("::ss_value_set") static function ss_value_set(value:ValueHandle, type:cpp.Int32):Status;
	@:native("::ss_value_set_boolean") static function ss_value_set_boolean(value:ValueHandle, boolean:Bool):Status;
	@:native("::ss_value_set_integer") static function ss_value_set_integer(value:ValueHandle, integer:cpp.Int32):Status;
	@:native("::ss_value_set_number") static function ss_value_set_number(value:ValueHandle, number:cpp.Float64):Status;
	@:native("::ss_value_set_date") static function ss_value_set_date(value:ValueHandle, milliseconds:cpp.Float64):Status;
	@:native("::ss_value_set_string") static function ss_value_set_string(value:ValueHandle, text:cpp.ConstCharStar):Status;
	@:native("::ss_value_set_bytes") static function ss_value_set_bytes(value:ValueHandle, type:cpp.Int32, src:cpp.RawConstPointer<cpp.Void>, length:cpp.SizeT):Status;
	@:native("::ss_value_set_class_name") static function ss_value_set_class_name(value:ValueHandle, name:cpp.ConstCharStar):Status;
	@:native("::ss_value_assign") static function ss_value_assign(value:ValueHandle, other:ValueHandle):Status;
	@:native("::ss_value_add_item") static function ss_value_add_item(value:ValueHandle):ValueHandle;
	@:native("::ss_value_add_property") static function ss_value_add_property(value:ValueHandle, name:cpp.ConstCharStar):ValueHandle;
}

@:include("server_socket.h") @:native("ss_loop") @:structAccess @:unreflective extern class NativeLoop {}
@:include("server_socket.h") @:native("ss_server") @:structAccess @:unreflective extern class NativeServer {}
@:include("server_socket.h") @:native("ss_socket") @:structAccess @:unreflective extern class NativeSocket {}
@:include("server_socket.h") @:native("ss_event") @:structAccess @:unreflective extern class NativeEvent {}
@:include("server_socket.h") @:native("ss_value") @:structAccess @:unreflective extern class NativeValue {}

/** Figures of a server; set `size` to `NativeStats.SIZE` before the call. **/
@:include("server_socket.h") @:native("ss_stats") @:structAccess @:unreflective extern class NativeStats {
	@:native("sizeof(ss_stats)") static final SIZE:cpp.SizeT;
	@:native("ss_stats") static function create():NativeStats;
	var size:cpp.SizeT;
	var accepted:cpp.UInt64;
	var open:cpp.UInt64;
	var refused:cpp.UInt64;
	@:native("accept_deferred") var acceptDeferred:cpp.UInt64;
	@:native("bytes_in") var bytesIn:cpp.UInt64;
	@:native("bytes_out") var bytesOut:cpp.UInt64;
	var errors:cpp.UInt64;
}

typedef LoopHandle = cpp.RawPointer<NativeLoop>;
typedef ServerHandle = cpp.RawPointer<NativeServer>;
typedef SocketHandle = cpp.RawPointer<NativeSocket>;
typedef EventHandle = cpp.RawPointer<NativeEvent>;
typedef ValueHandle = cpp.RawPointer<NativeValue>;

/** Any of the handles above. **/
typedef ObjectHandle = cpp.RawPointer<cpp.Void>;

/** One of `SS_OK` and `SS_ERR_...`; an `enum` of `int32_t` in C++. **/
typedef Status = cpp.Int32;

/** One of `SS_OPT_...`. **/
typedef Option = cpp.Int32;

typedef Task = cpp.Callable<cpp.RawPointer<cpp.Void>->Void>;
typedef Listener = cpp.Callable<EventHandle->cpp.RawPointer<cpp.Void>->Void>;
typedef Log = cpp.Callable<cpp.Int32->cpp.ConstCharStar->cpp.RawPointer<cpp.Void>->Void>;
#end
