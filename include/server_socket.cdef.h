/*
 * The declarations of server_socket.h for parsers that know no preprocessor: cffi, LuaJIT's ffi, h2pas.
 * server_socket.h explains them. The types of the library's own events, which are texts, are
 * "connect", "close", "socketData", "outputProgress", "ioError", "end", "handshakeError".
 *
 * This file is made from the sources in src/ffi: do not edit it.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

enum ss_constants {
    SS_VERSION_MAJOR = 0,
    SS_VERSION_MINOR = 1,
    SS_VERSION_PATCH = 0,
    SS_VERSION = (SS_VERSION_MAJOR << 16 | SS_VERSION_MINOR << 8 | SS_VERSION_PATCH),
    SS_KIND_LOOP = 1,
    SS_KIND_SERVER = 2,
    SS_KIND_SOCKET = 3,
    SS_KIND_EVENT = 4,
    SS_KIND_VALUE = 6,
    SS_KIND_TIMER = 7,
    SS_KIND_TLS = 8,
    SS_PHASE_CAPTURING = 1,
    SS_PHASE_AT_TARGET = 2,
    SS_PHASE_BUBBLING = 3,
    SS_BIG_ENDIAN = 0,
    SS_LITTLE_ENDIAN = 1,
    SS_LOG_ERROR = 1,
    SS_LOG_WARNING = 2,
    SS_LOG_HINT = 3,
    SS_AMF0 = 0,
    SS_AMF3 = 3,
    SS_VALUE_UNDEFINED = 1,
    SS_VALUE_NULL = 2,
    SS_VALUE_BOOLEAN = 3,
    SS_VALUE_INTEGER = 4,
    SS_VALUE_NUMBER = 5,
    SS_VALUE_STRING = 6,
    SS_VALUE_DATE = 7,
    SS_VALUE_BYTE_ARRAY = 8,
    SS_VALUE_XML = 9,
    SS_VALUE_XML_DOCUMENT = 10,
    SS_VALUE_ARRAY = 11,
    SS_VALUE_OBJECT = 12,
    SS_VALUE_VECTOR_INT = 13,
    SS_VALUE_VECTOR_UINT = 14,
    SS_VALUE_VECTOR_NUMBER = 15,
    SS_VALUE_VECTOR_OBJECT = 16,
    SS_VALUE_DICTIONARY = 17,
    SS_OK = 0,
    SS_ERR_ERROR = 1,
    SS_ERR_ARGUMENT = 2,
    SS_ERR_RANGE = 3,
    SS_ERR_IO = 4,
    SS_ERR_EOF = 5,
    SS_ERR_SECURITY = 6,
    SS_ERR_TYPE = 7,
    SS_ERR_HANDLE = 20,
    SS_ERR_THREAD = 21,
    SS_ERR_REENTRANT = 22,
    SS_ERR_FULL = 23,
    SS_ERR_UNSUPPORTED = 24,
    SS_ERR_NO_MEMORY = 25,
    SS_ERR_FORKED = 26,
    SS_ERR_PANIC = 99,
    SS_OPT_NO_DELAY = 1,
    SS_OPT_DUAL_STACK = 2,
    SS_OPT_REUSE_PORT = 3,
    SS_OPT_MAX_CONNECTIONS = 4,
    SS_OPT_READ_LIMIT = 5,
    SS_OPT_WRITE_LIMIT = 6,
    SS_OPT_LINGER = 7,
    SS_OPT_IDLE_TIMEOUT = 8,
    SS_OPT_KEEP_ALIVE = 9,
    SS_OPT_IDLE_BYTES = 10,
    SS_OPT_HALF_OPEN = 11,
    SS_OPT_READ_TIMEOUT = 12,
    SS_OPT_TLS_MIN_VERSION = 13,
    SS_OPT_LINGER_BYTES = 14,
    SS_OPT_UNREAD_LIMIT = 15,
    SS_OPT_CLIENT_CERTIFICATE = 16,
    SS_OPT_HANDSHAKE_TIMEOUT = 17,
};

typedef int32_t ss_status;
typedef struct ss_event ss_event;
typedef struct ss_loop ss_loop;
typedef struct ss_server ss_server;
typedef struct ss_socket ss_socket;
typedef struct ss_timer ss_timer;
typedef struct ss_tls ss_tls;
typedef struct ss_value ss_value;
typedef void (*ss_task)(void *user_data);
typedef void ss_object;
typedef void (*ss_listener)(ss_event *event, void *user_data);
typedef struct {
    const void *bytes;
    size_t length;
} ss_bytes;
typedef int32_t ss_option;
typedef struct {
    size_t size;
    uint64_t accepted;
    uint64_t open;
    uint64_t refused;
    uint64_t accept_deferred;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t errors;
    uint64_t lingering;
} ss_stats;
typedef void (*ss_log)(int32_t level, const char *message, void *user_data);
const char *ss_status_name(int32_t status);
ss_status ss_last_status(void);
int32_t ss_last_error_id(void);
const char *ss_last_error_message(void);
const char *ss_last_error_detail(void);
int32_t ss_last_os_error(void);
uint32_t ss_version(void);
bool ss_is_supported(void);
ss_loop *ss_loop_new(void);
ss_loop *ss_loop_default(void);
ss_status ss_loop_poll(ss_loop *loop, int32_t timeout_ms, uint32_t *events);
ss_status ss_loop_run(ss_loop *loop);
ss_status ss_loop_stop(ss_loop *loop);
ss_status ss_loop_wake(ss_loop *loop);
ss_status ss_loop_post(ss_loop *loop, ss_task task, void *user_data, ss_task cancelled);
ss_status ss_loop_fd(ss_loop *loop, int64_t *fd);
int32_t ss_loop_timeout(ss_loop *loop);
ss_timer *ss_timer_new(ss_loop *loop, uint32_t delay_ms, uint32_t repeat_ms, ss_task task, void *user_data, ss_task destroy);
ss_status ss_timer_set(ss_timer *timer, uint32_t delay_ms, uint32_t repeat_ms);
ss_status ss_timer_stop(ss_timer *timer);
ss_server *ss_new(ss_loop *loop);
ss_status ss_bind(ss_server *server, int32_t local_port, const char *local_address);
ss_status ss_bind_path(ss_server *server, const char *path);
ss_status ss_listen(ss_server *server, int32_t backlog);
ss_status ss_close(ss_server *server);
ss_status ss_drain(ss_server *server, uint32_t timeout_ms);
ss_status ss_adopt(ss_server *server, int64_t fd, bool listening);
ss_status ss_pause(ss_server *server);
ss_status ss_resume(ss_server *server);
bool ss_bound(ss_server *server);
bool ss_listening(ss_server *server);
const char *ss_local_address(ss_server *server);
int32_t ss_local_port(ss_server *server);
int32_t ss_object_kind(ss_object *object);
size_t ss_object_count(int32_t kind);
ss_status ss_retain(ss_object *object);
ss_status ss_release(ss_object *object);
ss_status ss_set_user_data(ss_object *object, void *user_data, ss_task destroy);
void *ss_user_data(ss_object *object);
ss_status ss_native_handle(ss_object *object, int64_t *fd);
ss_status ss_add_listener(ss_object *target, const char *type, ss_listener listener, void *user_data, bool use_capture, int32_t priority);
ss_status ss_add_listener_full(ss_object *target, const char *type, ss_listener listener, void *user_data, ss_task destroy, bool use_capture, int32_t priority);
ss_status ss_remove_listener(ss_object *target, const char *type, ss_listener listener, void *user_data, bool use_capture);
bool ss_has_listener(ss_object *target, const char *type);
bool ss_will_trigger(ss_object *target, const char *type);
ss_status ss_dispatch_event(ss_object *target, ss_event *event, bool *not_prevented);
ss_event *ss_event_new(const char *type, bool bubbles, bool cancelable);
ss_event *ss_event_clone(ss_event *event);
const char *ss_event_type(ss_event *event);
bool ss_event_bubbles(ss_event *event);
bool ss_event_cancelable(ss_event *event);
int32_t ss_event_phase(ss_event *event);
ss_object *ss_event_target(ss_event *event);
ss_object *ss_event_current_target(ss_event *event);
ss_status ss_event_prevent_default(ss_event *event);
bool ss_event_is_default_prevented(ss_event *event);
ss_status ss_event_stop_propagation(ss_event *event);
ss_status ss_event_stop_immediate_propagation(ss_event *event);
ss_socket *ss_event_socket(ss_event *event);
uint64_t ss_event_bytes_loaded(ss_event *event);
uint64_t ss_event_bytes_pending(ss_event *event);
uint64_t ss_event_bytes_total(ss_event *event);
int32_t ss_event_error_id(ss_event *event);
const char *ss_event_text(ss_event *event);
int32_t ss_event_os_error(ss_event *event);
const char *ss_event_detail(ss_event *event);
size_t ss_event_to_string(ss_event *event, char *dst, size_t capacity);
ss_socket *ss_socket_new(ss_loop *loop);
ss_status ss_socket_connect(ss_socket *socket, const char *host, int32_t port);
ss_status ss_socket_connect_path(ss_socket *socket, const char *path);
ss_status ss_socket_bind(ss_socket *socket, int32_t local_port, const char *local_address);
ss_status ss_socket_adopt(ss_socket *socket, int64_t fd);
ss_status ss_socket_close(ss_socket *socket);
ss_status ss_socket_shutdown(ss_socket *socket);
ss_status ss_socket_abort(ss_socket *socket);
ss_status ss_socket_keep(ss_socket *socket);
ss_status ss_socket_flush(ss_socket *socket);
ss_status ss_socket_pause(ss_socket *socket);
ss_status ss_socket_resume(ss_socket *socket);
bool ss_socket_connected(ss_socket *socket);
size_t ss_socket_bytes_available(ss_socket *socket);
size_t ss_socket_bytes_pending(ss_socket *socket);
const char *ss_socket_local_address(ss_socket *socket);
const char *ss_socket_remote_address(ss_socket *socket);
int32_t ss_socket_local_port(ss_socket *socket);
int32_t ss_socket_remote_port(ss_socket *socket);
ss_status ss_socket_peer_credentials(ss_socket *socket, uint32_t *uid, uint32_t *gid, int32_t *pid);
uint32_t ss_socket_timeout(ss_socket *socket);
ss_status ss_socket_set_timeout(ss_socket *socket, uint32_t timeout_ms);
size_t ss_socket_read(ss_socket *socket, void *dst, size_t capacity);
const uint8_t *ss_socket_peek(ss_socket *socket, size_t *length);
const uint8_t *ss_socket_take(ss_socket *socket, size_t *length);
ss_status ss_socket_skip(ss_socket *socket, size_t length);
ss_status ss_socket_read_bytes(ss_socket *socket, void *dst, size_t length);
ss_status ss_socket_write_bytes(ss_socket *socket, const void *src, size_t length);
ss_status ss_socket_write_vector(ss_socket *socket, const ss_bytes *parts, size_t count);
int32_t ss_socket_endian(ss_socket *socket);
ss_status ss_socket_set_endian(ss_socket *socket, int32_t endian);
ss_status ss_socket_read_boolean(ss_socket *socket, bool *value);
ss_status ss_socket_read_byte(ss_socket *socket, int8_t *value);
ss_status ss_socket_read_unsigned_byte(ss_socket *socket, uint8_t *value);
ss_status ss_socket_read_short(ss_socket *socket, int16_t *value);
ss_status ss_socket_read_unsigned_short(ss_socket *socket, uint16_t *value);
ss_status ss_socket_read_int(ss_socket *socket, int32_t *value);
ss_status ss_socket_read_unsigned_int(ss_socket *socket, uint32_t *value);
ss_status ss_socket_read_float(ss_socket *socket, float *value);
ss_status ss_socket_read_double(ss_socket *socket, double *value);
ss_status ss_socket_read_utf(ss_socket *socket, char *dst, size_t capacity, size_t *length);
ss_status ss_socket_read_utf_bytes(ss_socket *socket, size_t byte_length, char *dst, size_t capacity, size_t *length);
ss_status ss_socket_read_multi_byte(ss_socket *socket, size_t byte_length, const char *charset, char *dst, size_t capacity, size_t *length);
ss_status ss_socket_write_boolean(ss_socket *socket, bool value);
ss_status ss_socket_write_byte(ss_socket *socket, int32_t value);
ss_status ss_socket_write_short(ss_socket *socket, int32_t value);
ss_status ss_socket_write_int(ss_socket *socket, int32_t value);
ss_status ss_socket_write_unsigned_int(ss_socket *socket, uint32_t value);
ss_status ss_socket_write_float(ss_socket *socket, float value);
ss_status ss_socket_write_double(ss_socket *socket, double value);
ss_status ss_socket_write_utf(ss_socket *socket, const char *text);
ss_status ss_socket_write_utf_bytes(ss_socket *socket, const char *text);
ss_status ss_socket_write_multi_byte(ss_socket *socket, const char *text, const char *charset);
bool ss_tls_is_supported(void);
ss_tls *ss_tls_new(void);
ss_status ss_tls_set_identity(ss_tls *tls, const char *name, const void *chain, size_t chain_length, const void *private_key, size_t private_key_length);
ss_status ss_tls_add_certificate(ss_tls *tls, const void *certificate, size_t length, bool trusted);
ss_status ss_tls_set_protocols(ss_tls *tls, const char *protocols);
ss_status ss_tls_set_ticket_secret(ss_tls *tls, const void *secret, size_t length);
ss_status ss_set_tls(ss_object *object, ss_tls *tls, const char *name);
int32_t ss_socket_tls_version(ss_socket *socket);
const char *ss_socket_server_name(ss_socket *socket);
const char *ss_socket_protocol(ss_socket *socket);
const uint8_t *ss_socket_peer_certificate(ss_socket *socket, size_t index, size_t *length);
const char *ss_socket_certificate_status(ss_socket *socket);
ss_status ss_set_option(ss_object *object, ss_option option, int64_t value);
ss_status ss_get_option(ss_object *object, ss_option option, int64_t *value);
ss_status ss_server_stats(ss_server *server, ss_stats *stats);
ss_status ss_set_log(ss_log log, void *user_data);
ss_status ss_socket_read_object(ss_socket *socket, ss_value **value);
ss_status ss_socket_write_object(ss_socket *socket, ss_value *value);
int32_t ss_socket_object_encoding(ss_socket *socket);
ss_status ss_socket_set_object_encoding(ss_socket *socket, int32_t encoding);
ss_value *ss_value_new(int32_t type);
int32_t ss_value_type(ss_value *value);
bool ss_value_boolean(ss_value *value);
double ss_value_number(ss_value *value);
const char *ss_value_bytes(ss_value *value, size_t *length);
const char *ss_value_class_name(ss_value *value, size_t *length);
size_t ss_value_item_count(ss_value *value);
ss_value *ss_value_item(ss_value *value, size_t index);
size_t ss_value_property_count(ss_value *value);
const char *ss_value_property_name(ss_value *value, size_t index, size_t *length);
ss_value *ss_value_property_at(ss_value *value, size_t index);
ss_value *ss_value_property(ss_value *value, const char *name);
ss_status ss_value_set(ss_value *value, int32_t type);
ss_status ss_value_set_boolean(ss_value *value, bool boolean);
ss_status ss_value_set_integer(ss_value *value, int32_t integer);
ss_status ss_value_set_number(ss_value *value, double number);
ss_status ss_value_set_date(ss_value *value, double milliseconds);
ss_status ss_value_set_string(ss_value *value, const char *text);
ss_status ss_value_set_bytes(ss_value *value, int32_t type, const void *src, size_t length);
ss_status ss_value_set_class_name(ss_value *value, const char *name);
ss_status ss_value_assign(ss_value *value, ss_value *other);
ss_value *ss_value_add_item(ss_value *value);
ss_value *ss_value_add_property(ss_value *value, const char *name);
