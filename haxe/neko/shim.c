/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The C library for neko: what serversocket.internal.NekoBinding loads; and, in calls.h, what Calls loads.
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
static value *tick;              /* NekoBinding.tick */
static const char *const names[] = {SS_EVENT_CONNECT, SS_EVENT_CLOSE, SS_EVENT_SOCKET_DATA, SS_EVENT_OUTPUT_PROGRESS,
                                    SS_EVENT_IO_ERROR, SS_EVENT_END, SS_EVENT_HANDSHAKE_ERROR};

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

/* A function, since the macro takes its argument twice. */
static value integer(int number)
{
	return alloc_best_int(number);
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
	if (kind == 1)
		arguments[2] = alloc_best_int(ss_event_os_error(event));
	if (kind == 2)
		arguments[2] = alloc_float((double)ss_event_bytes_loaded(event));
	if (kind == 3)
		arguments[2] = alloc_float((double)ss_event_bytes_pending(event));
	if (kind == 2 || kind == 3)
		arguments[3] = alloc_float((double)ss_event_bytes_total(event));
	if (kind == 4) {
		arguments[2] = alloc_best_int(ss_event_error_id(event));
		arguments[3] = alloc_best_int(ss_event_os_error(event));
		arguments[5] = text(ss_event_detail(event));
	}
	if (kind == 6) {
		arguments[2] = alloc_best_int(ss_event_os_error(event));
		arguments[5] = text(ss_event_detail(event));
	}
	val_callEx(val_null, *deliver, arguments, 6, &exception); /* neko throws with longjmp: not through the library */
}

static void *word(value key, value kind)
{
	return (void *)((intptr_t)val_any_int(key) * 8 + val_int(kind));
}

static void count(void *user_data)
{
	value exception = NULL;
	value key = alloc_best_int((int)((intptr_t)user_data >> 3));
	val_callEx(val_null, *tick, &key, 1, &exception);
}

static value hs_on_event(value function, value tick_function)
{
	if (!deliver) {
		deliver = alloc_root(1);
		tick = alloc_root(1);
	}
	*deliver = function;
	*tick = tick_function;
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

/* ---- The loop, constructors ---- */

static value hs_status(void) { return alloc_int(last_status); }
static value hs_run(void) { return alloc_int(ss_loop_run(NULL)); }
static value hs_stop(void) { return alloc_int(ss_loop_stop(NULL)); }
static value hs_new_server(void) { return own(ss_new(NULL)); }
static value hs_new_socket(void) { return own(ss_socket_new(NULL)); }

static value hs_new_timer(value delay, value period, value key)
{
	return own(ss_timer_new(NULL, (uint32_t)val_any_int(delay), (uint32_t)val_any_int(period), count, word(key, alloc_int(0)), NULL));
}

/* The user, the group and the process of a Unix-domain connection's peer. */
static value hs_peer_credentials(value handle)
{
	uint32_t user = 0, group = 0;
	int32_t process = 0;
	value found;
	if (failed(ss_socket_peer_credentials(object_of(handle), &user, &group, &process)))
		return val_null;
	found = alloc_array(3);
	val_array_ptr(found)[0] = integer((int)user);
	val_array_ptr(found)[1] = integer((int)group);
	val_array_ptr(found)[2] = integer(process);
	return found;
}

/* ---- TLS ---- */

static value hs_new_tls(void) { return own(ss_tls_new()); }

/* A string of neko's, or null. */
static const char *bytes_of(value string, size_t *length)
{
	*length = val_is_string(string) ? (size_t)val_strlen(string) : 0;
	return c_text(string);
}

static value hs_set_identity(value handle, value name, value chain, value key)
{
	size_t chain_length, key_length;
	const char *chain_bytes = bytes_of(chain, &chain_length), *key_bytes = bytes_of(key, &key_length);
	return alloc_int(ss_tls_set_identity(object_of(handle), c_text(name), chain_bytes, chain_length, key_bytes, key_length));
}

static value hs_set_ticket_secret(value handle, value secret)
{
	size_t length;
	const char *bytes = bytes_of(secret, &length);
	return alloc_int(ss_tls_set_ticket_secret(object_of(handle), bytes, length));
}

static value hs_peer_certificate(value handle, value index)
{
	size_t length = 0;
	const uint8_t *bytes = ss_socket_peer_certificate(object_of(handle), (size_t)val_any_int(index), &length);
	return bytes ? copy_string((const char *)bytes, (int_val)length) : val_null;
}

static value hs_poll(value timeout)
{
	uint32_t events = 0;
	return failed(ss_loop_poll(NULL, val_any_int(timeout), &events)) ? val_null : integer((int)events);
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
	return integer((int)(uint32_t)(uintptr_t)pointer);
}

static value high(const void *pointer)
{
	return integer((int)(uint32_t)((uint64_t)(uintptr_t)pointer >> 32));
}

static value hs_release_value(value abstract) { return alloc_int(ss_release((ss_object *)value_of(abstract))); }
static value hs_value_low(value abstract) { return low(value_of(abstract)); }
static value hs_value_high(value abstract) { return high(value_of(abstract)); }
static value hs_text_low(value abstract, value which) { return low(text_of(abstract, which, NULL)); }
static value hs_text_high(value abstract, value which) { return high(text_of(abstract, which, NULL)); }

static value hs_text(value abstract, value which)
{
	size_t length = 0;
	const char *bytes = text_of(abstract, which, &length);
	return copy_string(bytes ? bytes : "", (int_val)length);
}

#include "calls.h"

DEFINE_PRIM(hs_weak, 1);
DEFINE_PRIM(hs_weak_get, 1);
DEFINE_PRIM(hs_on_event, 2);
DEFINE_PRIM(hs_add_listener, 3);
DEFINE_PRIM(hs_remove_listener, 3);
DEFINE_PRIM(hs_status, 0);
DEFINE_PRIM(hs_run, 0);
DEFINE_PRIM(hs_stop, 0);
DEFINE_PRIM(hs_poll, 1);
DEFINE_PRIM(hs_new_server, 0);
DEFINE_PRIM(hs_new_socket, 0);
DEFINE_PRIM(hs_new_timer, 3);
DEFINE_PRIM(hs_peer_credentials, 1);
DEFINE_PRIM(hs_new_tls, 0);
DEFINE_PRIM(hs_set_identity, 4);
DEFINE_PRIM(hs_set_ticket_secret, 2);
DEFINE_PRIM(hs_peer_certificate, 2);
DEFINE_PRIM(hs_release_value, 1);
DEFINE_PRIM(hs_value_low, 1);
DEFINE_PRIM(hs_value_high, 1);
DEFINE_PRIM(hs_text_low, 2);
DEFINE_PRIM(hs_text_high, 2);
DEFINE_PRIM(hs_text, 2);
