/*
 * The C library for neko: what serversocket.internal.NekoBinding loads, one primitive for each of its functions.
 *
 *     cc -shared -fPIC -I../include shim.c -o serversocket.ndll -L../target/release -lserver_socket -lneko
 *
 * A handle is an abstract value that owns one reference. Functions return null on failure, with the status in hs_status.
 * A value of readObject and writeObject is an abstract value that owns nothing: hs_release_value gives it back.
 */
#include <neko.h>
#include <server_socket.h>

DEFINE_KIND(k_handle);
DEFINE_KIND(k_weak);
DEFINE_KIND(k_value);

typedef struct { void *object; ss_loop *loop; } Reference;

static __thread int last_status; /* of this thread's last call that failed */
static value *deliver;           /* NekoBinding.deliver */
static const char *const names[] = {SS_EVENT_CONNECT, SS_EVENT_CLOSE, SS_EVENT_SOCKET_DATA, SS_EVENT_OUTPUT_PROGRESS,
                                    SS_EVENT_IO_ERROR};

static int failed(int status)
{
	if (status != SS_OK)
		last_status = status;
	return status != SS_OK;
}

static void *object_of(value handle)
{
	return val_is_kind(handle, k_handle) ? ((Reference *)val_data(handle))->object : NULL;
}

static value text(const char *bytes)
{
	return bytes ? alloc_string(bytes) : val_null;
}

static const char *c_text(value string)
{
	return val_is_string(string) ? val_string(string) : NULL;
}

/* ---- References: given back by the loop, in its next turn, since the collector may run anywhere ---- */

static void release(void *object)
{
	ss_release(object);
}

static void drop(value handle)
{
	Reference *reference = val_data(handle);
	ss_loop_post(reference->loop, release, reference->object, NULL);
}

static value own(void *object)
{
	Reference *reference;
	value handle;
	if (!object)
		return val_null;
	reference = (Reference *)alloc_private(sizeof *reference);
	reference->object = object;
	reference->loop = ss_loop_default();
	handle = alloc_abstract(k_handle, reference);
	val_gc(handle, drop);
	return handle;
}

/* A reference that does not keep its object: libgc, below neko, clears it. */
extern int GC_general_register_disappearing_link(void **link, const void *object);

static value hs_weak(value object)
{
	void **link = (void **)alloc_private(sizeof *link);
	*link = object;
	GC_general_register_disappearing_link(link, object);
	return alloc_abstract(k_weak, link);
}

static value hs_weak_get(value weak)
{
	void *object = *(void **)val_data(weak);
	return object ? (value)object : val_null;
}

/* ---- Events ---- */

static void hear(ss_event *event, void *user_data)
{
	intptr_t word = (intptr_t)user_data;
	int kind = (int)(word & 7);
	value exception = NULL;
	value arguments[6] = {alloc_best_int((int)(word >> 3)), alloc_int(kind), alloc_int(0), alloc_int(0), val_null, val_null};
	ss_socket *socket = ss_event_socket(event);
	if (ss_retain(socket) == SS_OK)
		arguments[4] = own(socket);
	if (kind == 2)
		arguments[2] = alloc_float((double)ss_event_bytes_loaded(event));
	if (kind == 3)
		arguments[2] = alloc_float((double)ss_event_bytes_pending(event));
	if (kind == 2 || kind == 3)
		arguments[3] = alloc_float((double)ss_event_bytes_total(event));
	if (kind == 4) {
		arguments[2] = alloc_best_int(ss_event_error_id(event));
		arguments[3] = alloc_best_int(ss_event_os_error(event));
		arguments[5] = text(ss_event_text(event));
	}
	val_callEx(val_null, *deliver, arguments, 6, &exception); /* neko throws with longjmp: not through the library */
}

static void *word(value key, value kind)
{
	return (void *)((intptr_t)val_any_int(key) * 8 + val_int(kind));
}

static value hs_on_event(value function)
{
	if (!deliver)
		deliver = alloc_root(1);
	*deliver = function;
	return val_null;
}

static value hs_add_listener(value handle, value kind, value key)
{
	return alloc_int(ss_add_listener(object_of(handle), names[val_int(kind)], hear, word(key, kind), false, 0));
}

static value hs_remove_listener(value handle, value kind, value key)
{
	return alloc_int(ss_remove_listener(object_of(handle), names[val_int(kind)], hear, word(key, kind), false));
}

/* ---- Errors, the loop, options ---- */

static value hs_status(void) { return alloc_int(last_status); }
static value hs_error_id(void) { return alloc_best_int(ss_last_error_id()); }
static value hs_error_message(void) { return text(ss_last_error_message()); }
static value hs_error_detail(void) { return text(ss_last_error_detail()); }
static value hs_os_error(void) { return alloc_best_int(ss_last_os_error()); }
static value hs_supported(void) { return alloc_bool(ss_is_supported()); }
static value hs_run(void) { return alloc_int(ss_loop_run(NULL)); }
static value hs_stop(void) { return alloc_int(ss_loop_stop(NULL)); }

static value hs_poll(value timeout)
{
	uint32_t events = 0;
	return failed(ss_loop_poll(NULL, val_any_int(timeout), &events)) ? val_null : alloc_best_int((int)events);
}

static value hs_set_option(value handle, value option, value number)
{
	return alloc_int(ss_set_option(object_of(handle), val_any_int(option), val_any_int(number)));
}

static value hs_get_option(value handle, value option)
{
	int64_t number = 0;
	return failed(ss_get_option(object_of(handle), val_any_int(option), &number)) ? val_null : alloc_best_int((int)number);
}

/* ---- Servers and sockets ---- */

static value hs_new_server(void) { return own(ss_new(NULL)); }
static value hs_new_socket(void) { return own(ss_socket_new(NULL)); }

static value hs_bind(value handle, value port, value address)
{
	return alloc_int(ss_bind(object_of(handle), val_any_int(port), c_text(address)));
}

static value hs_connect(value handle, value host, value port)
{
	return alloc_int(ss_socket_connect(object_of(handle), c_text(host), val_any_int(port)));
}

static value hs_read_bytes(value handle, value bytes, value offset, value length)
{
	return alloc_int(ss_socket_read_bytes(object_of(handle), val_string(bytes) + val_any_int(offset), val_any_int(length)));
}

static value hs_write_bytes(value handle, value bytes, value offset, value length)
{
	return alloc_int(ss_socket_write_bytes(object_of(handle), val_string(bytes) + val_any_int(offset), val_any_int(length)));
}

/* A text, read by `call` into `room` of so many bytes; once more if they turn out to be too few. */
#define READ_TEXT(call)                                    \
	char first[256], *room = first;                        \
	size_t size = sizeof first, length = 0;                \
	int status = call;                                     \
	if (status == SS_ERR_RANGE && length >= sizeof first) { \
		size = length + 1;                                 \
		room = alloc_private((unsigned)size);              \
		status = call;                                     \
	}                                                      \
	return failed(status) ? val_null : copy_string(room, (int_val)length);

static value hs_read_utf(value handle)
{
	READ_TEXT(ss_socket_read_utf(object_of(handle), room, size, &length))
}

static value hs_read_multi_byte(value handle, value count, value charset)
{
	READ_TEXT(ss_socket_read_multi_byte(object_of(handle), (size_t)val_any_int(count), c_text(charset), room, size, &length))
}

static value hs_write_utf(value handle, value string)
{
	return alloc_int(ss_socket_write_utf(object_of(handle), c_text(string)));
}

static value hs_write_multi_byte(value handle, value string, value charset)
{
	return alloc_int(ss_socket_write_multi_byte(object_of(handle), c_text(string), c_text(charset)));
}

/* Functions of one shape: a status, a property, a status with one argument, a typed read. */
#define STATUS(name, function) \
	static value name(value handle) { return alloc_int(function(object_of(handle))); } DEFINE_PRIM(name, 1)
#define GET(name, function, allocate) \
	static value name(value handle) { return allocate(function(object_of(handle))); } DEFINE_PRIM(name, 1)
#define SET(name, function, from) \
	static value name(value handle, value argument) { return alloc_int(function(object_of(handle), from(argument))); } DEFINE_PRIM(name, 2)
#define READ(name, function, type, allocate)                                        \
	static value name(value handle)                                                 \
	{                                                                               \
		type number;                                                                \
		return failed(function(object_of(handle), &number)) ? val_null : allocate(number); \
	}                                                                               \
	DEFINE_PRIM(name, 1)

STATUS(hs_close_server, ss_close)
STATUS(hs_pause_server, ss_pause)
STATUS(hs_resume_server, ss_resume)
STATUS(hs_close_socket, ss_socket_close)
STATUS(hs_abort, ss_socket_abort)
STATUS(hs_flush, ss_socket_flush)
STATUS(hs_pause_socket, ss_socket_pause)
STATUS(hs_resume_socket, ss_socket_resume)
GET(hs_bound, ss_bound, alloc_bool)
GET(hs_listening, ss_listening, alloc_bool)
GET(hs_server_address, ss_local_address, text)
GET(hs_server_port, ss_local_port, alloc_int)
GET(hs_connected, ss_socket_connected, alloc_bool)
GET(hs_available, ss_socket_bytes_available, alloc_best_int)
GET(hs_pending, ss_socket_bytes_pending, alloc_best_int)
GET(hs_local_address, ss_socket_local_address, text)
GET(hs_local_port, ss_socket_local_port, alloc_int)
GET(hs_remote_address, ss_socket_remote_address, text)
GET(hs_remote_port, ss_socket_remote_port, alloc_int)
GET(hs_endian, ss_socket_endian, alloc_int)
GET(hs_encoding, ss_socket_object_encoding, alloc_int)
GET(hs_timeout, ss_socket_timeout, alloc_best_int)
SET(hs_listen, ss_listen, val_any_int)
SET(hs_set_endian, ss_socket_set_endian, val_any_int)
SET(hs_set_encoding, ss_socket_set_object_encoding, val_any_int)
SET(hs_set_timeout, ss_socket_set_timeout, val_any_int)
SET(hs_skip, ss_socket_skip, val_any_int)
SET(hs_write_boolean, ss_socket_write_boolean, val_bool)
SET(hs_write_byte, ss_socket_write_byte, val_any_int)
SET(hs_write_short, ss_socket_write_short, val_any_int)
SET(hs_write_int, ss_socket_write_int, val_any_int)
SET(hs_write_float, ss_socket_write_float, val_number)
SET(hs_write_double, ss_socket_write_double, val_number)
READ(hs_read_boolean, ss_socket_read_boolean, bool, alloc_bool)
READ(hs_read_byte, ss_socket_read_byte, int8_t, alloc_int)
READ(hs_read_unsigned_byte, ss_socket_read_unsigned_byte, uint8_t, alloc_int)
READ(hs_read_short, ss_socket_read_short, int16_t, alloc_int)
READ(hs_read_unsigned_short, ss_socket_read_unsigned_short, uint16_t, alloc_int)
READ(hs_read_int, ss_socket_read_int, int32_t, alloc_best_int)
READ(hs_read_unsigned_int, ss_socket_read_unsigned_int, uint32_t, alloc_best_int)
READ(hs_read_float, ss_socket_read_float, float, alloc_float)
READ(hs_read_double, ss_socket_read_double, double, alloc_float)

/* ---- Values: what readObject has read, and what writeObject is to write ---- */

static ss_value *value_of(value abstract)
{
	return val_is_kind(abstract, k_value) ? (ss_value *)val_data(abstract) : NULL;
}

static value of_value(ss_value *pointer)
{
	return pointer ? alloc_abstract(k_value, pointer) : val_null;
}

/* What it consists of (-1), its class (-2), or the name of a property. */
static const char *text_of(value abstract, value which, size_t *length)
{
	int index = val_any_int(which);
	if (index == -1)
		return ss_value_bytes(value_of(abstract), length);
	if (index == -2)
		return ss_value_class_name(value_of(abstract), length);
	return ss_value_property_name(value_of(abstract), (size_t)index, length);
}

static value low(const void *pointer)
{
	return alloc_best_int((int)(uint32_t)(uintptr_t)pointer);
}

static value high(const void *pointer)
{
	return alloc_best_int((int)(uint32_t)((uint64_t)(uintptr_t)pointer >> 32));
}

static value hs_read_object(value handle)
{
	ss_value *object = NULL;
	return failed(ss_socket_read_object(object_of(handle), &object)) ? val_null : of_value(object);
}

static value hs_write_object(value handle, value abstract)
{
	return alloc_int(ss_socket_write_object(object_of(handle), value_of(abstract)));
}

static value hs_new_value(void) { return of_value(ss_value_new(SS_VALUE_UNDEFINED)); }
static value hs_release_value(value abstract) { return alloc_int(ss_release((ss_object *)value_of(abstract))); }
static value hs_value_low(value abstract) { return low(value_of(abstract)); }
static value hs_value_high(value abstract) { return high(value_of(abstract)); }
static value hs_value_type(value abstract) { return alloc_int(ss_value_type(value_of(abstract))); }
static value hs_value_boolean(value abstract) { return alloc_bool(ss_value_boolean(value_of(abstract))); }
static value hs_value_number(value abstract) { return alloc_float(ss_value_number(value_of(abstract))); }
static value hs_text_low(value abstract, value which) { return low(text_of(abstract, which, NULL)); }
static value hs_text_high(value abstract, value which) { return high(text_of(abstract, which, NULL)); }
static value hs_item_count(value abstract) { return alloc_best_int((int)ss_value_item_count(value_of(abstract))); }
static value hs_add_item(value abstract) { return of_value(ss_value_add_item(value_of(abstract))); }

static value hs_property_count(value abstract)
{
	return alloc_best_int((int)ss_value_property_count(value_of(abstract)));
}

static value hs_text(value abstract, value which)
{
	size_t length = 0;
	const char *bytes = text_of(abstract, which, &length);
	return copy_string(bytes ? bytes : "", (int_val)length);
}

static value hs_item(value abstract, value index)
{
	return of_value(ss_value_item(value_of(abstract), (size_t)val_any_int(index)));
}

static value hs_property(value abstract, value index)
{
	return of_value(ss_value_property_at(value_of(abstract), (size_t)val_any_int(index)));
}

static value hs_add_property(value abstract, value name)
{
	return of_value(ss_value_add_property(value_of(abstract), c_text(name)));
}

static value hs_set_bytes(value abstract, value type, value bytes, value length)
{
	size_t size = (size_t)val_any_int(length);
	return alloc_int(ss_value_set_bytes(value_of(abstract), val_any_int(type), val_string(bytes), size));
}

#define SET_VALUE(name, function, from)                              \
	static value name(value abstract, value argument)                \
	{                                                                \
		return alloc_int(function(value_of(abstract), from(argument))); \
	}                                                                \
	DEFINE_PRIM(name, 2)

SET_VALUE(hs_set_value, ss_value_set, val_any_int)
SET_VALUE(hs_set_boolean, ss_value_set_boolean, val_bool)
SET_VALUE(hs_set_integer, ss_value_set_integer, val_any_int)
SET_VALUE(hs_set_number, ss_value_set_number, val_number)
SET_VALUE(hs_set_date, ss_value_set_date, val_number)
SET_VALUE(hs_set_class, ss_value_set_class_name, c_text)
SET_VALUE(hs_assign, ss_value_assign, value_of)

DEFINE_PRIM(hs_weak, 1);
DEFINE_PRIM(hs_weak_get, 1);
DEFINE_PRIM(hs_on_event, 1);
DEFINE_PRIM(hs_add_listener, 3);
DEFINE_PRIM(hs_remove_listener, 3);
DEFINE_PRIM(hs_status, 0);
DEFINE_PRIM(hs_error_id, 0);
DEFINE_PRIM(hs_error_message, 0);
DEFINE_PRIM(hs_error_detail, 0);
DEFINE_PRIM(hs_os_error, 0);
DEFINE_PRIM(hs_supported, 0);
DEFINE_PRIM(hs_run, 0);
DEFINE_PRIM(hs_stop, 0);
DEFINE_PRIM(hs_poll, 1);
DEFINE_PRIM(hs_set_option, 3);
DEFINE_PRIM(hs_get_option, 2);
DEFINE_PRIM(hs_new_server, 0);
DEFINE_PRIM(hs_new_socket, 0);
DEFINE_PRIM(hs_bind, 3);
DEFINE_PRIM(hs_connect, 3);
DEFINE_PRIM(hs_read_bytes, 4);
DEFINE_PRIM(hs_write_bytes, 4);
DEFINE_PRIM(hs_read_utf, 1);
DEFINE_PRIM(hs_read_multi_byte, 3);
DEFINE_PRIM(hs_write_utf, 2);
DEFINE_PRIM(hs_write_multi_byte, 3);
DEFINE_PRIM(hs_read_object, 1);
DEFINE_PRIM(hs_write_object, 2);
DEFINE_PRIM(hs_new_value, 0);
DEFINE_PRIM(hs_release_value, 1);
DEFINE_PRIM(hs_value_low, 1);
DEFINE_PRIM(hs_value_high, 1);
DEFINE_PRIM(hs_value_type, 1);
DEFINE_PRIM(hs_value_boolean, 1);
DEFINE_PRIM(hs_value_number, 1);
DEFINE_PRIM(hs_text_low, 2);
DEFINE_PRIM(hs_text_high, 2);
DEFINE_PRIM(hs_text, 2);
DEFINE_PRIM(hs_item_count, 1);
DEFINE_PRIM(hs_item, 2);
DEFINE_PRIM(hs_property_count, 1);
DEFINE_PRIM(hs_property, 2);
DEFINE_PRIM(hs_set_bytes, 4);
DEFINE_PRIM(hs_add_item, 1);
DEFINE_PRIM(hs_add_property, 2);
