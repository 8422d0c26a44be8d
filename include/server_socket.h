/*
 * server_socket: Adobe AIR's ServerSocket and Socket for C, C++ and every runtime that can call C.
 *
 * A whole program, an echo server:
 *
 *     #include <server_socket.h>
 *     #include <signal.h>
 *     #include <stdio.h>
 *
 *     static ss_loop *loop;
 *
 *     static void stop(int number)
 *     {
 *         (void)number;
 *         ss_loop_stop(loop);
 *     }
 *
 *     static void echo(ss_event *event, void *user_data)               // bytes came in, or waiting output went out
 *     {
 *         ss_socket *socket = (ss_socket *)ss_event_target(event);
 *         size_t length;
 *         const uint8_t *bytes = ss_socket_take(socket, &length);      // in place, no copy
 *         (void)user_data;
 *         if (ss_socket_write_bytes(socket, bytes, length) != SS_OK)   // sent when this listener ends
 *             ss_socket_abort(socket);
 *         else if (ss_socket_bytes_pending(socket) > 1000000)          // who does not read is not read from
 *             ss_socket_pause(socket);
 *         else
 *             ss_socket_resume(socket);
 *     }
 *
 *     static void on_connect(ss_event *event, void *user_data)
 *     {
 *         ss_socket *socket = ss_event_socket(event);
 *         (void)user_data;
 *         ss_socket_keep(socket);                                      // until its connection ends; else it is closed now
 *         ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, NULL, false, 0);
 *         ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, NULL, false, 0);
 *     }
 *
 *     int main(void)
 *     {
 *         ss_server *server = ss_new(NULL);                            // NULL: this thread's own loop
 *         loop = ss_loop_default();
 *         signal(SIGINT, stop);
 *         ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0);
 *         ss_set_option(server, SS_OPT_IDLE_TIMEOUT, 60000);           // ends who is silent, or does not read, for a minute or two
 *         if (ss_bind(server, 0, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK) {
 *             fprintf(stderr, "%s\n", ss_last_error_detail());
 *             return 1;
 *         }
 *         printf("port %d\n", (int)ss_local_port(server));
 *         return ss_loop_run(NULL) == SS_OK ? 0 : 1;
 *     }
 *
 * The rules:
 *
 *  1. Handles. ss_loop, ss_timer, ss_server, ss_socket, ss_event, ss_value and ss_tls pointers are keys, never addresses. One
 *     that is NULL, released, of another kind or plain garbage is answered with SS_ERR_HANDLE (by a getter: 0, false,
 *     NULL). They use all 64 bits (32 where pointers have 32), and may be odd. Where a runtime's pointers are for
 *     addresses only, keep them as integers of that width: Lua's light userdata (on some systems), V8's aligned
 *     pointers, Go's unsafe.Pointer and JavaScript's numbers cannot hold them.
 *  2. References. Every *_new gives you one reference; ss_retain adds one, ss_release gives one back, for any kind.
 *     An object without a reference is closed and destroyed. What an event hands you is borrowed. ss_socket_keep has the
 *     library hold a socket as long as its connection lasts.
 *  3. Threads. A loop and all that lives on it belong to the thread that made the loop; others get SS_ERR_THREAD.
 *     Only ss_loop_post, ss_loop_wake and ss_loop_stop may be called from everywhere, and of all functions only the last
 *     two from signal handlers. Different threads may have loops of their own.
 *  4. Listeners run only inside ss_loop_poll, ss_loop_run and ss_dispatch_event. They may call every function here but
 *     the first two for their own loop, and close or release anything, their own target included. They may also leave by
 *     an exception, by longjmp, or by ending their thread (pthread_exit, cancellation), and so may tasks and destructors:
 *     it passes through to whoever catches it, the other listeners of the event do not run, and everything goes on in the
 *     loop's next turn. After a longjmp that turn has to be no deeper on the stack than the one that was left.
 *  5. Errors. A function that can fail returns a status (a constructor NULL), and leaves the details with this
 *     thread: ss_last_status, ss_last_error_id, ss_last_error_message, ss_last_error_detail, ss_last_os_error. Results
 *     are written only on SS_OK. A call that failed changed nothing, and no listener will run for it (but see
 *     SS_ERR_PANIC).
 *  6. Every function that takes a handle can return SS_ERR_HANDLE, SS_ERR_THREAD and SS_ERR_FORKED, so that the
 *     functions below do not say so each time. Nor do they say that they are called on the loop's thread, that a
 *     pointer for a result may be NULL, or that NULL for bytes whose length is not 0 is SS_ERR_TYPE 2007.
 *  7. A connection ends in one close event if the peer or the network ended it, in none if you did; it is the last.
 *     What the peer has sent always comes before it, and stays readable after it. Where output of yours is dropped, at
 *     whatever end, the peer sees a reset and not what would look like a good end (but see ss_bind_path).
 *  8. The library installs no signal handler, prints nothing, raises no SIGPIPE, and starts no thread but a few short
 *     ones for names that are looked up. Its descriptors are close-on-exec; a forked child gets SS_ERR_FORKED.
 *
 * This file is made from the sources in src/ffi by cbindgen: do not edit it.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef SERVER_SOCKET_H
#define SERVER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SS_API
#if defined(_WIN32) && !defined(SS_STATIC)
/** In front of each function. Programs for Windows that link the static library define SS_STATIC. */
#define SS_API __declspec(dllimport)
#else
#define SS_API
#endif
#endif

/** The version this header belongs to; ss_version() tells that of the library. */
#define SS_VERSION_MAJOR 0
#define SS_VERSION_MINOR 1
#define SS_VERSION_PATCH 0
#define SS_VERSION (SS_VERSION_MAJOR << 16 | SS_VERSION_MINOR << 8 | SS_VERSION_PATCH)

/** A server's ServerSocketConnectEvent: a peer is connected, see ss_event_socket. A socket's Event: it is connected. */
#define SS_EVENT_CONNECT "connect"
/** Event: a socket's peer has closed, or the operating system a server, or ss_drain has done its work. */
#define SS_EVENT_CLOSE "close"
/** A socket's ProgressEvent: bytes have arrived, see ss_event_bytes_loaded. */
#define SS_EVENT_SOCKET_DATA "socketData"
/** A socket's OutputProgressEvent: the system has taken written bytes. */
#define SS_EVENT_OUTPUT_PROGRESS "outputProgress"
/** A socket's IOErrorEvent: something went wrong, see ss_event_os_error. */
#define SS_EVENT_IO_ERROR "ioError"
/** Event: a socket's peer has ended its side, and writing goes on. Only with SS_OPT_HALF_OPEN. */
#define SS_EVENT_END "end"
/** A secure server's Event: a peer's handshake has failed, see ss_event_detail. */
#define SS_EVENT_HANDSHAKE_ERROR "handshakeError"


/**
 * ss_object_kind of a loop.
 */
#define SS_KIND_LOOP 1

/**
 * ss_object_kind of a server.
 */
#define SS_KIND_SERVER 2

/**
 * ss_object_kind of a socket.
 */
#define SS_KIND_SOCKET 3

/**
 * ss_object_kind of an event.
 */
#define SS_KIND_EVENT 4

/**
 * ss_object_kind of a value.
 */
#define SS_KIND_VALUE 6

/**
 * ss_object_kind of a timer.
 */
#define SS_KIND_TIMER 7

/**
 * ss_object_kind of an ss_tls.
 */
#define SS_KIND_TLS 8

/**
 * Event.eventPhase: never met here, since sockets have no parents.
 */
#define SS_PHASE_CAPTURING 1

/**
 * Event.eventPhase of every event here, before, during and after its dispatch.
 */
#define SS_PHASE_AT_TARGET 2

/**
 * Event.eventPhase: never met here.
 */
#define SS_PHASE_BUBBLING 3

/**
 * Endian.BIG_ENDIAN: the most significant byte first, the order of the network, and the default.
 */
#define SS_BIG_ENDIAN 0

/**
 * Endian.LITTLE_ENDIAN: the least significant byte first.
 */
#define SS_LITTLE_ENDIAN 1

/**
 * The level of a log message: something was lost.
 */
#define SS_LOG_ERROR 1

/**
 * The level of a log message: something is short, and the library copes; or an ioError had no listener.
 */
#define SS_LOG_WARNING 2

/**
 * The level of a log message: the program does something that is allowed, and hardly what it means; with what to do. Each of them
 * comes once: for a server, a loop, or a thread.
 */
#define SS_LOG_HINT 3

/**
 * ObjectEncoding.AMF0: that of ActionScript 1 and 2.
 */
#define SS_AMF0 0

/**
 * ObjectEncoding.AMF3: that of ActionScript 3.
 */
#define SS_AMF3 3

/**
 * ss_value_type: undefined.
 */
#define SS_VALUE_UNDEFINED 1

/**
 * ss_value_type: null.
 */
#define SS_VALUE_NULL 2

/**
 * ss_value_type: true or false, see ss_value_boolean.
 */
#define SS_VALUE_BOOLEAN 3

/**
 * ss_value_type: int, see ss_value_number. AMF3 writes those from -268435456 to 268435455 as such, AMF0 none; others
 * become SS_VALUE_NUMBER, which to ActionScript is the same.
 */
#define SS_VALUE_INTEGER 4

/**
 * ss_value_type: Number, see ss_value_number.
 */
#define SS_VALUE_NUMBER 5

/**
 * ss_value_type: String, see ss_value_bytes.
 */
#define SS_VALUE_STRING 6

/**
 * ss_value_type: Date; its milliseconds since 1970 in UTC, see ss_value_number.
 */
#define SS_VALUE_DATE 7

/**
 * ss_value_type: ByteArray, see ss_value_bytes.
 */
#define SS_VALUE_BYTE_ARRAY 8

/**
 * ss_value_type: XML; its text, see ss_value_bytes.
 */
#define SS_VALUE_XML 9

/**
 * ss_value_type: flash.xml.XMLDocument, which AMF0 makes of XML, too; its text, see ss_value_bytes.
 */
#define SS_VALUE_XML_DOCUMENT 10

/**
 * ss_value_type: Array. It has items, and may have properties besides.
 */
#define SS_VALUE_ARRAY 11

/**
 * ss_value_type: Object, or one of a class. It has properties.
 */
#define SS_VALUE_OBJECT 12

/**
 * ss_value_type: Vector of int. Its items are numbers.
 */
#define SS_VALUE_VECTOR_INT 13

/**
 * ss_value_type: Vector of uint. Its items are numbers.
 */
#define SS_VALUE_VECTOR_UINT 14

/**
 * ss_value_type: Vector of Number. Its items are numbers.
 */
#define SS_VALUE_VECTOR_NUMBER 15

/**
 * ss_value_type: a vector of anything else. It has items, and ss_value_class_name says of which class.
 */
#define SS_VALUE_VECTOR_OBJECT 16

/**
 * ss_value_type: Dictionary. Its items are its keys and values in turn: a key, its value, the next key, ...
 */
#define SS_VALUE_DICTIONARY 17

/**
 * What a function that can fail returns. The numbers never change and are never used again.
 *
 * Each of the first group stands for an error class of AIR that a program in ActionScript or Haxe would catch.
 */
typedef int32_t ss_status;

/**
 * Success.
 */
#define SS_OK 0

/**
 * AIR's Error.
 */
#define SS_ERR_ERROR 1

/**
 * AIR's ArgumentError: a malformed value.
 */
#define SS_ERR_ARGUMENT 2

/**
 * AIR's RangeError: a number out of range.
 */
#define SS_ERR_RANGE 3

/**
 * AIR's IOError: the socket is not in a state that allows the call, or the system refused.
 */
#define SS_ERR_IO 4

/**
 * AIR's EOFError: fewer bytes have arrived than were asked for.
 */
#define SS_ERR_EOF 5

/**
 * AIR's SecurityError: a remote port out of range.
 */
#define SS_ERR_SECURITY 6

/**
 * AIR's TypeError: a NULL where there must be something.
 */
#define SS_ERR_TYPE 7

/**
 * Not a handle of a living object of this kind: NULL, released, of another kind, or garbage.
 */
#define SS_ERR_HANDLE 20

/**
 * The object belongs to another thread.
 */
#define SS_ERR_THREAD 21

/**
 * The loop is being polled already.
 */
#define SS_ERR_REENTRANT 22

/**
 * The write limit is reached; nothing was written.
 */
#define SS_ERR_FULL 23

/**
 * This system or version does not offer it.
 */
#define SS_ERR_UNSUPPORTED 24

/**
 * Out of memory; nothing was changed.
 */
#define SS_ERR_NO_MEMORY 25

/**
 * The object belongs to the process that this one was forked from.
 */
#define SS_ERR_FORKED 26

/**
 * A fault inside the library, stopped at its border. Please report it.
 */
#define SS_ERR_PANIC 99

/**
 * An event: AIR's Event and its subclasses. Belongs to the thread that it was made on.
 */
typedef struct ss_event ss_event;

/**
 * An event loop. It and everything made on it belong to the thread that made it; only ss_loop_post, ss_loop_wake
 * and ss_loop_stop may be called from others, and the last two from signal handlers.
 */
typedef struct ss_loop ss_loop;

/**
 * A server, of TCP or the Unix domain: AIR's ServerSocket. Belongs to the thread of its loop.
 */
typedef struct ss_server ss_server;

/**
 * One end of a connection, by TCP or in the Unix domain: AIR's Socket. Belongs to the thread of its loop.
 */
typedef struct ss_socket ss_socket;

/**
 * A timer of a loop: it has the loop call a task after some time, once or again and again. Belongs to the thread of its loop.
 */
typedef struct ss_timer ss_timer;

/**
 * What makes connections secure: who a server is, by the names that clients ask for, whom a client trusts, which
 * protocols are spoken above TLS. One serves any number of servers and sockets, of all loops of its thread.
 *
 * Belongs to the thread that made it, and to no loop. What is changed in it holds for handshakes that begin later;
 * connections go on as they are. Servers and sockets that use it go on with it when its last reference is given back;
 * its keys are dropped when neither a reference nor such a user is left.
 *
 * TLS 1.2 and 1.3, with forward secrecy and authenticated ciphers only. There is no renegotiation, no compression, no early
 * data, and no way to skip the verification of a certificate.
 */
typedef struct ss_tls ss_tls;

/**
 * A value as ActionScript has it, from readObject or for writeObject: a number, a string, an array of other values.
 * Belongs to the thread it was made on, and to no loop.
 *
 * A value and all its parts are one whole. ss_value_new and ss_socket_read_object give one reference to the whole;
 * the parts are borrowed from it, and stay valid until the last reference to the whole is released. What is done to a
 * part with ss_retain, ss_release and ss_set_user_data is done to the whole. The same part has the same handle,
 * wherever in the whole it is met.
 *
 * To write { name: "Ann", scores: [1, 2.5] }, and to read it:
 *
 * ```c
 * ss_value *message = ss_value_new(SS_VALUE_OBJECT);
 * ss_value *scores = ss_value_add_property(message, "scores");
 * ss_value_set_string(ss_value_add_property(message, "name"), "Ann");
 * ss_value_set(scores, SS_VALUE_ARRAY);
 * ss_value_set_integer(ss_value_add_item(scores), 1);
 * ss_value_set_number(ss_value_add_item(scores), 2.5);
 * ss_socket_write_object(socket, message);
 * ss_release(message);
 *
 * ss_status status;
 * while ((status = ss_socket_read_object(socket, &message)) == SS_OK) {
 *     const char *name = ss_value_bytes(ss_value_property(message, "name"), NULL);   // NULL if there is none
 *     ss_value *scores = ss_value_property(message, "scores");
 *     for (size_t i = 0; i < ss_value_item_count(scores); i++)
 *         printf("%g\n", ss_value_number(ss_value_item(scores, i)));
 *     ss_release(message);
 * }
 * if (status != SS_ERR_EOF)                         // else the rest is still on its way: wait for socketData
 *     ss_socket_abort(socket);                      // what this peer sends cannot be read
 * ```
 */
typedef struct ss_value ss_value;

/**
 * A function of the host with its user data: a destructor, or a task for a loop. It may leave by an exception or by longjmp, as a
 * listener may (rule 4).
 */
typedef void (*ss_task)(void *user_data);

/**
 * Any handle: an ss_loop *, ss_timer *, ss_server *, ss_socket *, ss_event *, ss_value * or ss_tls *.
 */
typedef void ss_object;

/**
 * A function that hears events. The event is borrowed, and dies after the dispatch unless it is retained.
 *
 * It runs on the loop's thread, inside ss_loop_poll, ss_loop_run or ss_dispatch_event. It may call every function
 * of this library, and close or release anything, its own target included. It may leave by an exception or by longjmp (rule 4).
 */
typedef void (*ss_listener)(ss_event *event, void *user_data);

/**
 * Bytes of the caller's: a part of what ss_socket_write_vector writes.
 */
typedef struct {
    /**
     * NULL is allowed where length is 0.
     */
    const void *bytes;
    /**
     * How many bytes.
     */
    size_t length;
} ss_bytes;

/**
 * An option of a server or a socket: one of SS_OPT_... Set on a server, those of sockets are what the sockets that it
 * accepts from then on start with.
 */
typedef int32_t ss_option;

/**
 * What has happened on a server so far. The struct may grow at its end.
 */
typedef struct {
    /**
     * The caller sets it to sizeof(ss_stats), so that a program and a library of different ages understand each other.
     */
    size_t size;
    /**
     * Connections accepted.
     */
    uint64_t accepted;
    /**
     * Those of them that are open now.
     */
    uint64_t open;
    /**
     * Those that nobody kept: not retained, or closed in the connect listener.
     */
    uint64_t refused;
    /**
     * How often accepting was put off because descriptors or memory were short.
     */
    uint64_t accept_deferred;
    /**
     * Bytes received.
     */
    uint64_t bytes_in;
    /**
     * Bytes handed to the system to be sent.
     */
    uint64_t bytes_out;
    /**
     * Connections that ended by an error: reset, timed out, ...
     */
    uint64_t errors;
    /**
     * Connections whose sockets are closed, and that still send what was written or wait for the peer to have read it.
     */
    uint64_t lingering;
} ss_stats;

/**
 * A function that takes log messages; the text is valid during the call. It may run on any thread that uses the
 * library, also inside a call, and must not throw.
 */
typedef void (*ss_log)(int32_t level, const char *message, void *user_data);

/**
 * Socket.tcpNoDelay (TCP_NODELAY): small writes leave at once instead of waiting for more. 0 or 1; default 1.
 */
#define SS_OPT_NO_DELAY 1

/**
 * Server, before bind: "::" takes IPv4 connections too, whose addresses then read as IPv4's. 0 or 1; default 0.
 */
#define SS_OPT_DUAL_STACK 2

/**
 * Server, before bind: several servers, of several loops or processes, share a port; each of them must set it, and the
 * system deals the connections out. 0 or 1; default 0. SS_ERR_UNSUPPORTED where there is no such thing (Windows).
 */
#define SS_OPT_REUSE_PORT 3

/**
 * Server: how many of the connections it accepted may be there; at the limit accepting pauses and peers wait in the system's
 * queue. Those whose sockets are closed and that still send count, too, but give way: the one that has gone longest without
 * progress is reset when a new peer needs its place. Default 0: any number.
 */
#define SS_OPT_MAX_CONNECTIONS 4

/**
 * Unread bytes at which reading pauses until some are read; the peer is then slowed down by TCP. From 1; default 16777216
 * (16 MiB). Nothing that is read in one piece can be longer: SS_ERR_RANGE says so. A listener that takes nothing when the
 * limit is reached waits for ever; the log has a warning then. What the system still holds when the peer has ended is taken in
 * beyond the limit.
 */
#define SS_OPT_READ_LIMIT 5

/**
 * Unsent bytes beyond which a write is refused with SS_ERR_FULL, or with SS_ERR_RANGE if it alone is more. From 1; default
 * 67108864 (64 MiB).
 */
#define SS_OPT_WRITE_LIMIT 6

/**
 * Milliseconds for which a closed socket may go on sending without progress: without a byte that the peer acknowledges. Ten times
 * as long is the most in all. What is unsent then is dropped, and the peer sees a reset. Default 30000; 0: what the system does
 * not take at once is dropped.
 */
#define SS_OPT_LINGER 7

/**
 * Milliseconds without a byte either way, or with fewer than SS_OPT_IDLE_BYTES, after which a connection is given up:
 * ioError (ss_event_os_error is ETIMEDOUT), then close. Bytes that the peer acknowledges count, where the system tells of
 * them; it is asked when the time is over, so that it may be twice as long in the end. Default 0: never.
 */
#define SS_OPT_IDLE_TIMEOUT 8

/**
 * Seconds of silence after which the system probes whether the peer is still there, and between probes. A peer that answers
 * nothing for ten times as long is given up, on Linux also while output is under way. One that answers but takes nothing, since
 * its window is shut, is there. At most 32767; default 0: it does not.
 */
#define SS_OPT_KEEP_ALIVE 9

/**
 * How many bytes have to go either way within each SS_OPT_IDLE_TIMEOUT for a connection not to be idle: a rate that
 * peers must keep to. With the default, 1, any byte will do; with more, a peer that sends or reads one now and then, and
 * would hold the connection for ever, is given up as one that is silent. From 1 to 4294967295.
 */
#define SS_OPT_IDLE_BYTES 10

/**
 * What the peer's end means. 0: the connection is over with it, as with AIR's Socket, and close comes. 1: the connection
 * goes on half-open. The event "end" says that the peer has ended its side, after all that it sent, and the socket stays
 * connected and can be written to, until ss_socket_shutdown or ss_socket_close; close comes when both sides have ended. Listen
 * for "end" then: without it such a connection stays until it is closed, reset or given up by a time-out. A reset is noticed at
 * once, whatever has ended. Looked at when the peer ends its side. Default 0.
 */
#define SS_OPT_HALF_OPEN 11

/**
 * Milliseconds without a byte from the peer after which a connection is given up: ioError (ss_event_os_error is ETIMEDOUT),
 * then close. What we write does not count, other than with SS_OPT_IDLE_TIMEOUT. The time stands still while the host does not
 * read, that is after ss_socket_pause and at SS_OPT_READ_LIMIT, and begins anew when reading goes on; after the peer's end
 * ("end") it is over. Default 0: never.
 */
#define SS_OPT_READ_TIMEOUT 12

/**
 * TLS: the oldest version that is spoken: 12 (default) or 13.
 */
#define SS_OPT_TLS_MIN_VERSION 13

/**
 * Server: how many bytes all of its connections together whose sockets are closed may have unsent. Beyond it those that have gone
 * longest without progress are reset. From 1; default 268435456 (256 MiB).
 */
#define SS_OPT_LINGER_BYTES 14

/**
 * Server: how many bytes all of its connections together may have unread. Beyond it those that hold the most are read from no further
 * until there is room again: all but those that hold less than an equal part of a quarter of it, so that who reads goes on. Their
 * peers are slowed down by TCP, their end is told later, and nothing is lost. The log has a warning, once. SS_OPT_READ_LIMIT holds for
 * each of them besides. From 1; default 268435456 (256 MiB).
 */
#define SS_OPT_UNREAD_LIMIT 15

/**
 * TLS, of a server and its sockets: whether clients are asked for a certificate, signed by one that ss_tls_add_certificate has made
 * trusted. 0: no (default). 1: they are, and may have none; one that is shown must be good. 2: they must have one.
 */
#define SS_OPT_CLIENT_CERTIFICATE 16

/**
 * TLS: milliseconds for which a handshake may go on. The connection is given up then: handshakeError on the server, ioError on a socket that
 * connects (ss_event_os_error is ETIMEDOUT). Default 10000; 0: as long as it likes.
 */
#define SS_OPT_HANDSHAKE_TIMEOUT 17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ---- Errors ---------------------------------------------------------------------------------------------------------- */

/**
 * The name of a status: AIR's class ("RangeError") or ours ("InvalidHandle").
 *
 * Any number is allowed; one that is no status is "UnknownStatus". Never NULL, never to be freed. Any thread.
 */
SS_API const char *ss_status_name(int32_t status);

/**
 * The status of this thread's last failure; SS_OK before any. For functions that return an object or a value, and NULL
 * or nothing when they fail: a success in between does not change it.
 */
SS_API ss_status ss_last_status(void);

/**
 * AIR's number of this thread's last failure (2002, 2003, ...): Error.errorID. 0 if AIR has none for it.
 */
SS_API int32_t ss_last_error_id(void);

/**
 * The text of this thread's last failure: Error.message, AIR's own words without the number, where AIR has any.
 *
 * "" before any failure. The text is the library's and is valid until this thread's next call that fails.
 */
SS_API const char *ss_last_error_message(void);

/**
 * The last failure of this thread as a sentence for people: what was attempted, what the system said, and what
 * to do about it. For a log or a message box; its wording may change.
 *
 * "" before any failure, else never empty. Valid as long as ss_last_error_message().
 */
SS_API const char *ss_last_error_detail(void);

/**
 * The operating system's number of this thread's last failure (errno, GetLastError), 0 if it had none.
 */
SS_API int32_t ss_last_os_error(void);

/* ---- The library, and event loops ------------------------------------------------------------------------------------ */

/**
 * The version of the library that is running: major << 16 | minor << 8 | patch. Compare with SS_VERSION.
 *
 * Same major number (below 1.0: same minor number), same ABI. Any thread.
 */
SS_API uint32_t ss_version(void);

/**
 * ServerSocket.isSupported: whether servers can run here. True wherever this library is built for. Any thread.
 */
SS_API bool ss_is_supported(void);

/**
 * Makes an event loop on the calling thread.
 *
 * Returns one reference: give it back with ss_release, which ends the loop and closes everything on it.
 * NULL on failure: SS_ERR_IO when the system has no descriptors left.
 */
SS_API ss_loop *ss_loop_new(void);

/**
 * The calling thread's own loop, made at first use. NULL as a loop argument means this one.
 *
 * Borrowed: no release is owed. It ends with its thread. NULL on failure, as ss_loop_new.
 */
SS_API ss_loop *ss_loop_default(void);

/**
 * One turn of the loop: waits until something is ready, at most timeout_ms milliseconds (0 = do not wait,
 * negative = without end), then calls the listeners of what is.
 *
 * *events (may be NULL) receives how many events were dispatched to listeners. A turn is bounded: what is left
 * over comes in the next, which then does not wait. A signal ends the wait early, with SS_OK.
 * SS_ERR_REENTRANT inside a listener of the same loop. SS_ERR_FORKED in a child process, if the loop is NULL and the parent had
 * servers or sockets on it: make them in the child, after daemon() say.
 */
SS_API ss_status ss_loop_poll(ss_loop *loop,
                              int32_t timeout_ms,
                              uint32_t *events);

/**
 * Turns of the loop until ss_loop_stop is called, or until nothing on the loop can ever bring an event again:
 * no listening server, no open connection, no timer that runs, no posted task.
 *
 * SS_ERR_REENTRANT inside a listener of the same loop. SS_ERR_FORKED as ss_loop_poll.
 */
SS_API ss_status ss_loop_run(ss_loop *loop);

/**
 * Makes ss_loop_run return after the turn it is in. If it is not running, the next ss_loop_run returns at once.
 *
 * Any thread, and signal handlers: it takes no lock and no memory, and errno stays as it is. NULL is the loop of the thread that
 * calls, in a handler of whichever thread was interrupted: give a handler the handle. SS_ERR_HANDLE when the loop has ended, or for
 * NULL when the thread has no loop of its own yet. The status is all that is told of a failure: no last error.
 */
SS_API ss_status ss_loop_stop(ss_loop *loop);

/**
 * Makes a waiting ss_loop_poll return; if none is waiting, the next one does not wait. Many wakes may be one.
 *
 * Any thread, and signal handlers, as ss_loop_stop: a handler that sets a flag and calls this ends a wait whenever it comes, also
 * between a look at the flag and the wait.
 */
SS_API ss_status ss_loop_wake(ss_loop *loop);

/**
 * Has task(user_data) run once, on the loop's thread, in a turn of the loop. If the loop ends first,
 * cancelled(user_data) runs instead, unless it is NULL.
 *
 * Exactly one of the two runs if SS_OK was returned, neither if not. Tasks run in the order of the posts.
 * Any thread, but not a signal handler. SS_ERR_HANDLE when the loop has ended, SS_ERR_TYPE when task is NULL.
 */
SS_API ss_status ss_loop_post(ss_loop *loop, ss_task task, void *user_data, ss_task cancelled);

/**
 * A descriptor that is readable whenever ss_loop_poll(loop, 0) has work, for a host with a loop of its own: wait
 * for it there, for at most ss_loop_timeout milliseconds, then poll.
 *
 * The descriptor stays the library's: never read, close or change it. SS_ERR_UNSUPPORTED where there is none
 * (Windows).
 */
SS_API ss_status ss_loop_fd(ss_loop *loop, int64_t *fd);

/**
 * How long, in milliseconds, a host may wait for the descriptor before it has to poll: until the next timer
 * of the loop, 0 when there is work already, -1 without end.
 */
SS_API int32_t ss_loop_timeout(ss_loop *loop);

/* ---- Timers ---------------------------------------------------------------------------------------------------------- */

/**
 * Makes a timer on a loop (NULL: this thread's own) and starts it: task(user_data) runs in a turn of the loop, delay_ms
 * milliseconds from now, and then every repeat_ms milliseconds; 0: only once.
 *
 * Returns one reference. The timer runs for as long as somebody holds one: with ss_release of the last it is never called
 * again, even if it is due already. destroy(user_data), unless NULL, runs once, when the timer has ended with its last reference
 * or its loop; if its task is running then, after it.
 *
 * A task never runs early, and never in the turn in which its timer was started: a delay of 0 is the next turn. Tasks that are due
 * run in the order of their times, for about a millisecond a turn; the rest follows in the next one, so that connections do not
 * wait for many timers. A time that the loop was too busy for is not made up for: repeat_ms counts from when the task is called.
 * A task may start, stop and release its own timer. It may leave by an exception, as a listener may.
 *
 * While a timer runs ss_loop_run goes on. There may be any number of them; starting and stopping one costs the same among a hundred
 * thousand. NULL on failure; SS_ERR_TYPE 2007: task is NULL. destroy is not called then.
 */
SS_API ss_timer *ss_timer_new(ss_loop *loop,
                              uint32_t delay_ms,
                              uint32_t repeat_ms,
                              ss_task task,
                              void *user_data,
                              ss_task destroy);

/**
 * Starts a timer anew with another delay and period, whether it runs, has run or was stopped.
 *
 * What it was due for before does not come any more.
 */
SS_API ss_status ss_timer_set(ss_timer *timer, uint32_t delay_ms, uint32_t repeat_ms);

/**
 * Stops a timer: it is not called until ss_timer_set starts it again. Stopping one that does not run does nothing.
 */
SS_API ss_status ss_timer_stop(ss_timer *timer);

/* ---- ServerSocket ---------------------------------------------------------------------------------------------------- */

/**
 * new ServerSocket(): makes a server on a loop (NULL: this thread's own). Nothing is opened yet.
 *
 * Returns one reference: give it back with ss_release, which closes the server. The connections it has accepted
 * live on. NULL on failure.
 */
SS_API ss_server *ss_new(ss_loop *loop);

/**
 * ServerSocket.bind: takes a port (0 = any free one) on an address of this machine, given in digits.
 *
 * NULL, "" and "0.0.0.0" mean all IPv4 addresses, "::" all IPv6 addresses, and no IPv4 ones.
 * SS_ERR_RANGE 2003: no such port. SS_ERR_ARGUMENT 2004: not an IP address (names are never looked up).
 * SS_ERR_IO 2002: bound already, closed, or refused by the system: then ss_last_os_error() says why (the port is
 * in use, the address is not this machine's, ...), the server stays unbound, and bind may be tried again.
 */
SS_API ss_status ss_bind(ss_server *server, int32_t local_port, const char *local_address);

/**
 * Binds a Unix-domain socket in place of ss_bind: path is that of a file, or on Linux "@name" an abstract name, which is no file.
 * Everything else is as with ports; accepted sockets have no addresses, but see ss_socket_peer_credentials.
 *
 * A file that a former server has left there is replaced, if nobody has its socket any more; no other file ever is. ss_close and
 * the end of the server remove the file, unless another one has taken its place or the descriptor was asked for with
 * ss_native_handle. Who may connect is decided by the file's permissions: set umask before, or chmod it before ss_listen.
 * ss_local_address is the path as given, ss_local_port 0. SS_OPT_DUAL_STACK, SS_OPT_REUSE_PORT, SS_OPT_NO_DELAY and SS_OPT_KEEP_ALIVE
 * mean nothing here, and these connections know no reset: the peer of one that is aborted, or of which output is dropped, sees its
 * end.
 * SS_ERR_TYPE 2007: path is NULL. SS_ERR_ARGUMENT 2004: it is empty, or longer than the system takes (about 100 bytes).
 * SS_ERR_IO 2002: bound already, closed, or refused by the system: ss_last_os_error() is EADDRINUSE where a server or a file of
 * another kind is. SS_ERR_UNSUPPORTED: Windows; abstract names on other systems than Linux.
 */
SS_API ss_status ss_bind_path(ss_server *server,
                              const char *path);

/**
 * ServerSocket.listen: from now on the system takes connections in; up to about backlog of them (0 = the
 * system's maximum) wait there until they are accepted, further ones are turned away by the system.
 *
 * Returns at once. Accepting happens in ss_loop_poll, and only while somebody listens for "connect". Listening
 * again changes the backlog. SS_ERR_RANGE 2006: backlog is negative. SS_ERR_IO 2002: not bound, or closed.
 */
SS_API ss_status ss_listen(ss_server *server, int32_t backlog);

/**
 * ServerSocket.close: gives the port back. Connections not yet accepted are reset, accepted ones live on.
 *
 * Nobody can connect from then on, also while a forked child holds a copy of the descriptor (on Linux; elsewhere the child
 * must close it). Whoever was given it on purpose keeps it: one that was adopted, or asked for with ss_native_handle.
 * No event follows. A closed server cannot be opened again, but still has to be released.
 * SS_ERR_ERROR 2002: it is not open.
 */
SS_API ss_status ss_close(ss_server *server);

/**
 * Ends the server in peace. Who waits to be connected is still accepted; then the port is given back, in the next turns of
 * the loop, as ss_close gives it back. The connections live on, and "close" comes on the server when the last one that it
 * accepted has ended, those included that were closed and still send. ss_event_os_error of it is 0 then.
 *
 * After timeout_ms milliseconds those that are left are reset, those that wait included: each open socket gets ioError and
 * close, and the server close behind them, all with ETIMEDOUT. With 0 that begins with the next turn. Until then ss_loop_run goes on.
 * Called again it sets another deadline. ss_close ends it, and so does the last ss_release: the port is given back,
 * connections live on, and no event follows.
 *
 * With SS_OPT_REUSE_PORT another server can take over meanwhile. Linux then passes newcomers over for 200 ms before the port is
 * given back, so that nobody is lost who has begun to connect; they meet the other server at their next try, a second later.
 * Not where the listening socket may be somebody else's, too: after ss_native_handle or ss_adopt, or a fork.
 *
 * Accepting goes on after ss_pause. SS_OPT_MAX_CONNECTIONS still holds: who waits for a place keeps the port in use. Nobody
 * listens for "connect": who waits is reset. SS_ERR_ERROR 2002: the server is neither bound nor draining.
 */
SS_API ss_status ss_drain(ss_server *server,
                          uint32_t timeout_ms);

/**
 * Takes over a socket, of TCP or the Unix domain, that is bound already, as a service manager hands it to the process (systemd's socket activation),
 * in place of ss_bind, and if listening is true of ss_listen.
 *
 * On SS_OK the descriptor is the library's; before and otherwise it is the caller's. It is made non-blocking and
 * close-on-exec. SS_ERR_ARGUMENT 2004: not a bound stream socket, a connection (see ss_socket_adopt), listening is not what it is, or
 * an object of the library has it already. SS_ERR_IO 2002: the server is bound or closed already, or there is no such descriptor.
 */
SS_API ss_status ss_adopt(ss_server *server,
                          int64_t fd,
                          bool listening);

/**
 * Stops accepting: peers wait in the system's queue until ss_resume. SS_ERR_IO 2002: the server is closed.
 */
SS_API ss_status ss_pause(ss_server *server);

/**
 * Accepts again after ss_pause. SS_ERR_IO 2002: the server is closed.
 */
SS_API ss_status ss_resume(ss_server *server);

/**
 * ServerSocket.bound: between bind and close.
 */
SS_API bool ss_bound(ss_server *server);

/**
 * ServerSocket.listening: between listen and close.
 */
SS_API bool ss_listening(ss_server *server);

/**
 * ServerSocket.localAddress, in digits, or the path of ss_bind_path; NULL when not bound.
 *
 * The text is the library's and is valid until the server is closed or destroyed.
 */
SS_API const char *ss_local_address(ss_server *server);

/**
 * ServerSocket.localPort; 0 when not bound, and of a path. The real port as soon as bind has returned, also when 0 was asked for.
 */
SS_API int32_t ss_local_port(ss_server *server);

/* ---- All objects; EventDispatcher, of servers and sockets ------------------------------------------------------------ */

/**
 * What kind of object a handle is of: SS_KIND_...; 0 if it is not one of a living object of this thread.
 */
SS_API int32_t ss_object_kind(ss_object *object);

/**
 * How many objects of a kind (SS_KIND_...) the calling thread has: for a leak test of a host.
 *
 * Sockets count from their connect event, or from ss_socket_new, until they are destroyed, whoever holds them; events while a
 * reference to them is held; a value with all its parts as one; the thread's own loop from its first use. 0 for other numbers. It
 * walks what there is, which takes a while among many.
 */
SS_API size_t ss_object_count(int32_t kind);

/**
 * Adds a reference to an object of any kind.
 *
 * Each one is owed an ss_release. This is how a listener keeps what it only borrows: an accepted socket, an event.
 */
SS_API ss_status ss_retain(ss_object *object);

/**
 * Gives a reference back. With the last one the object is closed and destroyed, and its handle is stale from then on: a loop
 * with everything on it, a server, a socket (what was written is still sent), a timer (it is not called any more), an event, a
 * value with all its parts. An ss_tls lives on in the servers and sockets that use it.
 *
 * If a dispatch on the object is running, that is done when the dispatch ends. NULL is allowed: nothing happens.
 * SS_ERR_HANDLE: no such object, or no reference is left to give back.
 */
SS_API ss_status ss_release(ss_object *object);

/**
 * Attaches a pointer of yours to an object of any kind. A clone of an event does not have it.
 *
 * destroy(user_data), unless NULL, runs once: when the pointer is replaced or the object is destroyed; if a listener
 * is running then, after it.
 */
SS_API ss_status ss_set_user_data(ss_object *object, void *user_data, ss_task destroy);

/**
 * The pointer that ss_set_user_data has attached; NULL if none was.
 */
SS_API void *ss_user_data(ss_object *object);

/**
 * The system's descriptor (a SOCKET on Windows) of a bound server or a connected socket.
 *
 * For options that this library does not know. It stays the library's: do not read, write or close it.
 * SS_ERR_IO 2002: it has none now.
 */
SS_API ss_status ss_native_handle(ss_object *object, int64_t *fd);

/**
 * EventDispatcher.addEventListener: registers a listener on a server or a socket.
 *
 * A listener is the pair (listener, user_data). A second registration of the same pair for the same type and
 * use_capture is ignored. Higher priorities run first, equal ones in the order of registration. One that is added
 * while an event is dispatched does not hear that event. use_capture registrations count for ss_has_listener but
 * are never called, as in AIR, since a socket has no parents. SS_ERR_TYPE 2007: type or listener is NULL.
 */
SS_API ss_status ss_add_listener(ss_object *target,
                                 const char *type,
                                 ss_listener listener,
                                 void *user_data,
                                 bool use_capture,
                                 int32_t priority);

/**
 * ss_add_listener with a destructor: destroy(user_data), unless NULL, runs once, when the listener has been
 * removed or its target destroyed and it can never run again.
 *
 * If a listener is running then, the destructor waits for its end. A registration that is ignored because it is there
 * already is ignored whole, its destructor included: user_data is still in use. When the call fails, destroy is not
 * called.
 */
SS_API ss_status ss_add_listener_full(ss_object *target,
                                      const char *type,
                                      ss_listener listener,
                                      void *user_data,
                                      ss_task destroy,
                                      bool use_capture,
                                      int32_t priority);

/**
 * EventDispatcher.removeEventListener. From its return on the listener is not called any more, not even by a
 * dispatch that is under way. Removing what is not registered does nothing.
 */
SS_API ss_status ss_remove_listener(ss_object *target,
                                    const char *type,
                                    ss_listener listener,
                                    void *user_data,
                                    bool use_capture);

/**
 * EventDispatcher.hasEventListener: whether anybody is registered for the type.
 */
SS_API bool ss_has_listener(ss_object *target, const char *type);

/**
 * EventDispatcher.willTrigger: the same as ss_has_listener, since sockets have no parents.
 */
SS_API bool ss_will_trigger(ss_object *target, const char *type);

/**
 * EventDispatcher.dispatchEvent: calls the target's listeners for the event's type, now.
 *
 * *not_prevented (may be NULL) receives AIR's result: false if a listener prevented the default of a cancelable
 * event. An event that was delivered before is cloned, and the clone is dispatched.
 * SS_ERR_TYPE 2007: event is NULL. SS_ERR_ERROR 2094: dispatches are nested more than 256 deep.
 */
SS_API ss_status ss_dispatch_event(ss_object *target, ss_event *event, bool *not_prevented);

/* ---- Event ----------------------------------------------------------------------------------------------------------- */

/**
 * new Event(type, bubbles, cancelable): an event of the host's own, for ss_dispatch_event. The text is copied.
 *
 * Returns one reference. NULL on failure; SS_ERR_TYPE 2007: type is NULL.
 */
SS_API ss_event *ss_event_new(const char *type, bool bubbles, bool cancelable);

/**
 * Event.clone(): the same type and contents, fresh as before any dispatch.
 *
 * Returns one reference. NULL on failure.
 */
SS_API ss_event *ss_event_clone(ss_event *event);

/**
 * Event.type. The text is the library's and is valid while the event lives.
 */
SS_API const char *ss_event_type(ss_event *event);

/**
 * Event.bubbles: false for the library's own events.
 */
SS_API bool ss_event_bubbles(ss_event *event);

/**
 * Event.cancelable: false for the library's own events.
 */
SS_API bool ss_event_cancelable(ss_event *event);

/**
 * Event.eventPhase: SS_PHASE_AT_TARGET; 0 if the handle is not an event's.
 */
SS_API int32_t ss_event_phase(ss_event *event);

/**
 * Event.target: the server or socket it was dispatched to. Borrowed. NULL before the dispatch, and when the target
 * is not there any more.
 */
SS_API ss_object *ss_event_target(ss_event *event);

/**
 * Event.currentTarget: the same as ss_event_target, since sockets have no parents.
 */
SS_API ss_object *ss_event_current_target(ss_event *event);

/**
 * Event.preventDefault(): only a cancelable event takes note of it. The library's own events are not cancelable.
 */
SS_API ss_status ss_event_prevent_default(ss_event *event);

/**
 * Event.isDefaultPrevented(): whether ss_event_prevent_default took effect.
 */
SS_API bool ss_event_is_default_prevented(ss_event *event);

/**
 * Event.stopPropagation(): without effect here, since sockets have no parents. The target's other listeners run.
 */
SS_API ss_status ss_event_stop_propagation(ss_event *event);

/**
 * Event.stopImmediatePropagation(): the listeners that have not run yet do not run.
 */
SS_API ss_status ss_event_stop_immediate_propagation(ss_event *event);

/**
 * ServerSocketConnectEvent.socket: the accepted connection. NULL for other events.
 *
 * Borrowed: ss_socket_keep or ss_retain it in the listener, or it is closed when the dispatch ends. To turn the peer away,
 * call ss_socket_close, or do neither.
 */
SS_API ss_socket *ss_event_socket(ss_event *event);

/**
 * ProgressEvent.bytesLoaded of a socketData event: how many bytes are new with it. 0 for other events.
 */
SS_API uint64_t ss_event_bytes_loaded(ss_event *event);

/**
 * OutputProgressEvent.bytesPending of an outputProgress event: how many written bytes the system has not taken yet.
 */
SS_API uint64_t ss_event_bytes_pending(ss_event *event);

/**
 * OutputProgressEvent.bytesTotal of an outputProgress event: how many bytes were written since the socket was
 * connected, pending ones included. 0 for other events, as ProgressEvent.bytesTotal of socketData.
 */
SS_API uint64_t ss_event_bytes_total(ss_event *event);

/**
 * IOErrorEvent.errorID of an ioError event: 2031. 0 for other events.
 */
SS_API int32_t ss_event_error_id(ss_event *event);

/**
 * IOErrorEvent.text of an ioError event: "Error #2031: Socket Error." NULL for other events.
 */
SS_API const char *ss_event_text(ss_event *event);

/**
 * The operating system's number of the error that an ioError or a handshakeError event tells of, or that has ended the connection
 * whose close event this is: ECONNRESET, ETIMEDOUT, ... 0 if it had none, and of a close event after a good end: the peer has
 * ended its side, and everything that it sent has come.
 */
SS_API int32_t ss_event_os_error(ss_event *event);

/**
 * What an ioError, a close or a handshakeError event has to say to people: with whom what was attempted, and what the system or
 * TLS said to it.
 *
 * "read from 10.0.0.7:5123: Connection reset by peer (104)", "connect to example.com:80: Connection refused (111)", "look up
 * nosuch.invalid: Name or service not known (-2)", "10.0.0.7:5123 has ended the connection". The text is the library's and is valid
 * while the event lives. It is made when it is first asked for: ask in the listener, and before the socket is connected anew, since
 * later it may not say with whom. NULL for other events, and for those of the host's own.
 */
SS_API const char *ss_event_detail(ss_event *event);

/**
 * Event.toString(), like snprintf: writes at most capacity bytes, a NUL included, and returns the length of the
 * whole text without the NUL. dst may be NULL if capacity is 0.
 */
SS_API size_t ss_event_to_string(ss_event *event, char *dst, size_t capacity);

/* ---- Socket ---------------------------------------------------------------------------------------------------------- */

/**
 * new Socket(): makes a socket that is not connected, on a loop (NULL: this thread's own).
 *
 * Returns one reference: give it back with ss_release, which closes the socket. NULL on failure. A server's
 * sockets are not made with this; they come with its connect events.
 */
SS_API ss_socket *ss_socket_new(ss_loop *loop);

/**
 * Socket.connect: begins to connect to a host, given by name or by address, and returns at once. What comes of it is an
 * event: "connect", or "ioError" (2031; ss_event_os_error tells the system's number, for a name that was not found
 * getaddrinfo's). Until then the socket is not connected. After a failure it can be connected again.
 *
 * Names are looked up on a thread of the library's. If a name has several addresses they are tried in the system's
 * order, IPv6 and IPv4 by turns, the next one after a failure or 250 ms, and the first that answers is taken.
 * A connection or an attempt that the socket has already is closed first, without an event.
 * SS_ERR_SECURITY 2003: no such port. SS_ERR_IO 2002: host is NULL or "".
 */
SS_API ss_status ss_socket_connect(ss_socket *socket,
                                   const char *host,
                                   int32_t port);

/**
 * Connects to a Unix-domain socket: path is that of a file, or on Linux "@name" an abstract name. What comes of it is an event, as
 * with ss_socket_connect; Socket.timeout holds. Such a connection has no addresses (NULL) and no ports (0).
 *
 * SS_ERR_TYPE 2007: path is NULL. SS_ERR_ARGUMENT 2004: it is empty, or longer than the system takes (about 100 bytes).
 * SS_ERR_UNSUPPORTED: Windows; abstract names on other systems than Linux.
 */
SS_API ss_status ss_socket_connect_path(ss_socket *socket,
                                        const char *path);

/**
 * Chooses the local end of the connections that ss_socket_connect makes from now on: a port (0 = any free one, as without
 * this) and an address of this machine, given in digits; NULL, "" and "0.0.0.0" mean any IPv4 address, "::" any IPv6 address.
 *
 * The end is tried at once, so that an error is told here, and taken anew by each connection: then it may be in use, which is an
 * ioError. Only hosts of the same family of addresses can be connected to: another address is SS_ERR_ARGUMENT 2004 from
 * ss_socket_connect, a name without such an address an ioError with EAFNOSUPPORT. A port is no hindrance while old connections of
 * it linger. Unix-domain connections take no notice of it.
 * SS_ERR_RANGE 2003: no such port. SS_ERR_ARGUMENT 2004: not an IP address. SS_ERR_IO 2002: the socket is connected or
 * connecting, or the system refused: then ss_last_os_error() says why.
 */
SS_API ss_status ss_socket_bind(ss_socket *socket,
                                int32_t local_port,
                                const char *local_address);

/**
 * Takes over a connection: a connected stream socket, TCP or Unix-domain. inetd and systemd (Accept=yes) hand a program one as
 * descriptor 0 or 3, socketpair makes two, SCM_RIGHTS passes one.
 *
 * The socket is connected when this returns: there is no connect event, and what the peer has sent comes as socketData in a later
 * turn. On SS_OK the descriptor is the library's; before and otherwise it is the caller's. It is made non-blocking and
 * close-on-exec, and gets the socket's options. A Unix-domain connection has no addresses (NULL) and no ports (0).
 * SS_ERR_ARGUMENT 2004: not a connected stream socket, or an object of the library has it already (dup it first); the detail
 * says what it is. SS_ERR_IO 2002: the socket is connected or connecting already, or there is no such descriptor.
 */
SS_API ss_status ss_socket_adopt(ss_socket *socket,
                                 int64_t fd);

/**
 * Socket.close(): the socket is not connected from now on, and no event follows. Unread bytes are dropped. What was
 * written is still sent, in the background, for at most the time that SS_OPT_LINGER allows.
 *
 * An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
 */
SS_API ss_status ss_socket_close(ss_socket *socket);

/**
 * Ends our side of the connection behind all that was written: the peer reads it, and then meets the end (shutdown with
 * SHUT_WR; a FIN). Reading goes on, and the socket stays connected until the peer ends its side, too: then comes close.
 *
 * Nothing can be written any more: SS_ERR_IO 2002. What the system has not taken yet is sent in time, with outputProgress. A
 * peer that never ends its side holds the connection for ever, unless SS_OPT_READ_TIMEOUT or SS_OPT_IDLE_TIMEOUT is set. A
 * second call does nothing, with SS_OK. SS_ERR_IO 2002: it is not connected, or not yet.
 */
SS_API ss_status ss_socket_shutdown(ss_socket *socket);

/**
 * Ends the connection at once: the peer sees it reset, unread and unsent bytes are dropped, no event follows.
 *
 * An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
 */
SS_API ss_status ss_socket_abort(ss_socket *socket);

/**
 * Keeps a socket alive without a reference of yours, as long as it is connected or connecting: for a server's connections,
 * in the listener of the connect event, and for a socket of your own, before ss_socket_connect or after it.
 *
 * The library holds a reference of its own. It gives it back when the socket is neither connected nor connecting any more:
 * after the listeners of the close event, or of the ioError event of an attempt that has failed, whatever they do, and at
 * ss_socket_close and ss_socket_abort. If nobody else has one then the socket is destroyed, when the listener that is running
 * has returned. One that is connected anew before that stays kept. Called twice it is as called once.
 */
SS_API ss_status ss_socket_keep(ss_socket *socket);

/**
 * Socket.flush(): begins to send what was written now, rather than at the end of the listener. Never waits.
 *
 * SS_ERR_IO 2002: it is not connected.
 */
SS_API ss_status ss_socket_flush(ss_socket *socket);

/**
 * Stops reading: what the peer sends waits in the system, and in the end at the peer. Nothing that the peer does is told
 * until ss_socket_resume: no socketData, end or close event comes of it. Only where both sides have ended, so that nothing
 * is left to read, close comes all the same. SS_ERR_IO 2002: it is not connected.
 */
SS_API ss_status ss_socket_pause(ss_socket *socket);

/**
 * Reads again after ss_socket_pause; nothing was lost. SS_ERR_IO 2002: it is not connected.
 */
SS_API ss_status ss_socket_resume(ss_socket *socket);

/**
 * Socket.connected. False in the listener of its close event.
 */
SS_API bool ss_socket_connected(ss_socket *socket);

/**
 * Socket.bytesAvailable: unread bytes.
 */
SS_API size_t ss_socket_bytes_available(ss_socket *socket);

/**
 * Socket.bytesPending: written bytes that the system has not taken yet.
 */
SS_API size_t ss_socket_bytes_pending(ss_socket *socket);

/**
 * Socket.localAddress, in digits; NULL before the first connection, while connecting, and of a Unix-domain connection.
 *
 * It stays readable when the connection is over. The text is the library's and is valid until the next attempt to connect, or
 * the end of the socket.
 */
SS_API const char *ss_socket_local_address(ss_socket *socket);

/**
 * Socket.remoteAddress, in digits; NULL before the first connection, while connecting, and of a Unix-domain connection.
 *
 * It stays readable when the connection is over, in the listener of its close event for instance. The text is the library's
 * and is valid until the next attempt to connect, or the end of the socket.
 */
SS_API const char *ss_socket_remote_address(ss_socket *socket);

/**
 * Socket.localPort; 0 where ss_socket_local_address is NULL.
 */
SS_API int32_t ss_socket_local_port(ss_socket *socket);

/**
 * Socket.remotePort; 0 where ss_socket_remote_address is NULL.
 */
SS_API int32_t ss_socket_remote_port(ss_socket *socket);

/**
 * Who the peer of a Unix-domain connection is: the user, the group and the process that connected, or made the pair, as the system
 * saw them then. Each place may be NULL; *pid receives -1 where the system does not tell (the BSDs). They are written on SS_OK only.
 *
 * SS_ERR_IO 2002: it is not connected. SS_ERR_UNSUPPORTED: a connection by TCP, or Windows.
 */
SS_API ss_status ss_socket_peer_credentials(ss_socket *socket,
                                            uint32_t *uid,
                                            uint32_t *gid,
                                            int32_t *pid);

/**
 * Socket.timeout: how many milliseconds connecting may take, looking the name up included; 0: as long as the system tries.
 */
SS_API uint32_t ss_socket_timeout(ss_socket *socket);

/**
 * Sets Socket.timeout; 20000 at first. An attempt that is under way follows.
 */
SS_API ss_status ss_socket_set_timeout(ss_socket *socket, uint32_t timeout_ms);

/**
 * Reads up to capacity of the unread bytes into dst. Returns how many; 0 when there are none, or on failure.
 */
SS_API size_t ss_socket_read(ss_socket *socket, void *dst, size_t capacity);

/**
 * The unread bytes where they lie, without a copy; *length receives how many. Reads nothing: count what was used as
 * read with ss_socket_skip. What is left stays for later, and comes first then.
 *
 * Valid until the next call on this socket that reads, skips or closes, and no longer than the listener runs.
 * NULL with *length 0 when there are none, or on failure.
 */
SS_API const uint8_t *ss_socket_peek(ss_socket *socket, size_t *length);

/**
 * All unread bytes where they lie, without a copy, counted as read: ss_socket_peek and ss_socket_skip in one. *length
 * receives how many.
 *
 * Valid until the listener (or task) returns, whatever is called in it: also when it writes them back, closes the socket or
 * releases it. Outside of one they are valid until the loop is polled next, or ends. NULL with *length 0 when there are none, or
 * on failure.
 */
SS_API const uint8_t *ss_socket_take(ss_socket *socket,
                                     size_t *length);

/**
 * Counts length unread bytes as read.
 *
 * SS_ERR_EOF 2030: there are fewer, and none was skipped. SS_ERR_RANGE 2006: more than SS_OPT_READ_LIMIT, and more than there
 * are: they can never be unread at a time. SS_ERR_IO 2002: not connected and nothing left to read.
 */
SS_API ss_status ss_socket_skip(ss_socket *socket,
                                size_t length);

/**
 * Socket.readBytes: reads exactly length bytes into dst.
 *
 * SS_ERR_EOF 2030: there are fewer, and none was read. SS_ERR_RANGE 2006: length is more than SS_OPT_READ_LIMIT, and more than
 * there are: they can never be unread at a time. SS_ERR_IO 2002: not connected and nothing left to read.
 */
SS_API ss_status ss_socket_read_bytes(ss_socket *socket,
                                      void *dst,
                                      size_t length);

/**
 * Socket.writeBytes: takes over length bytes to be sent, all or none. They are copied, or sent at once.
 *
 * They leave at the end of the listener, all that it wrote together; outside a listener at the start of the next
 * turn; or at ss_socket_flush. SS_ERR_FULL: they would exceed SS_OPT_WRITE_LIMIT; wait for outputProgress. SS_ERR_RANGE 2006:
 * they alone exceed it, and can never fit. SS_ERR_IO 2002: not connected, or ss_socket_shutdown was called.
 */
SS_API ss_status ss_socket_write_bytes(ss_socket *socket,
                                       const void *src,
                                       size_t length);

/**
 * As ss_socket_write_bytes, of bytes that lie in several places: takes over count parts, one behind the other, all of them or
 * none, so that a header is never sent without its body.
 *
 * They leave together, with what else the listener writes. They may be bytes of this library's, of ss_socket_peek or ss_socket_take.
 * SS_ERR_FULL: all of them would exceed SS_OPT_WRITE_LIMIT; wait for outputProgress. SS_ERR_RANGE 2006: they alone exceed it, and
 * can never fit. SS_ERR_TYPE 2007: parts, or the bytes of a part that has some, are NULL. SS_ERR_IO 2002: as there.
 */
SS_API ss_status ss_socket_write_vector(ss_socket *socket,
                                        const ss_bytes *parts,
                                        size_t count);

/* ---- Socket: IDataInput, IDataOutput --------------------------------------------------------------------------------- */

/**
 * Socket.endian: SS_BIG_ENDIAN or SS_LITTLE_ENDIAN.
 */
SS_API int32_t ss_socket_endian(ss_socket *socket);

/**
 * Sets Socket.endian, the byte order of the typed reads and writes from now on. It outlasts the connection.
 *
 * SS_ERR_ARGUMENT 2008: another value.
 */
SS_API ss_status ss_socket_set_endian(ss_socket *socket, int32_t endian);

/**
 * Socket.readBoolean: one byte; true unless it is 0.
 *
 * This and the following reads: SS_ERR_EOF 2030: fewer bytes have come, and none was read; wait for more.
 * SS_ERR_IO 2002: not connected and nothing left to read.
 */
SS_API ss_status ss_socket_read_boolean(ss_socket *socket, bool *value);

/**
 * Socket.readByte: -128 to 127.
 */
SS_API ss_status ss_socket_read_byte(ss_socket *socket, int8_t *value);

/**
 * Socket.readUnsignedByte: 0 to 255.
 */
SS_API ss_status ss_socket_read_unsigned_byte(ss_socket *socket, uint8_t *value);

/**
 * Socket.readShort: 16 bits, signed.
 */
SS_API ss_status ss_socket_read_short(ss_socket *socket, int16_t *value);

/**
 * Socket.readUnsignedShort: 16 bits, unsigned.
 */
SS_API ss_status ss_socket_read_unsigned_short(ss_socket *socket, uint16_t *value);

/**
 * Socket.readInt: 32 bits, signed.
 */
SS_API ss_status ss_socket_read_int(ss_socket *socket, int32_t *value);

/**
 * Socket.readUnsignedInt: 32 bits, unsigned.
 */
SS_API ss_status ss_socket_read_unsigned_int(ss_socket *socket, uint32_t *value);

/**
 * Socket.readFloat: 32 bits, IEEE 754.
 */
SS_API ss_status ss_socket_read_float(ss_socket *socket, float *value);

/**
 * Socket.readDouble: 64 bits, IEEE 754.
 */
SS_API ss_status ss_socket_read_double(ss_socket *socket, double *value);

/**
 * Socket.readUTF: a text with its length in bytes, 16 bits, before it.
 *
 * The text is written to dst with a NUL behind it, and its length without the NUL to *length. If capacity is too small
 * for both: SS_ERR_RANGE 2006, *length receives the length all the same, and nothing was read; so that capacity 0 and
 * dst NULL ask for it. As in Flash a byte order mark is dropped and a NUL within ends the text. The bytes are not
 * checked to be UTF-8.
 */
SS_API ss_status ss_socket_read_utf(ss_socket *socket,
                                    char *dst,
                                    size_t capacity,
                                    size_t *length);

/**
 * Socket.readUTFBytes: a text of byte_length bytes. Otherwise as ss_socket_read_utf.
 */
SS_API ss_status ss_socket_read_utf_bytes(ss_socket *socket,
                                          size_t byte_length,
                                          char *dst,
                                          size_t capacity,
                                          size_t *length);

/**
 * Socket.readMultiByte: a text of byte_length bytes in another charset, converted to UTF-8; what is malformed becomes
 * U+FFFD. Otherwise as ss_socket_read_utf.
 *
 * charset is one of AIR's names, in any case: those of Unicode ("utf-8"; "unicode" or "utf-16", low bytes first;
 * "unicodeFFFE", high bytes first), "us-ascii", "iso-8859-1" to "-15", "windows-874", "windows-1250" to "-1258",
 * "koi8-r", "koi8-u", "cp866", "macintosh", "x-mac-cyrillic", "gb2312", "gb18030", "big5", "shift_jis", "euc-jp",
 * "iso-2022-jp", "euc-kr", and their aliases. "iso-8859-1" gives each byte the character of its number; the names of
 * parts 9 and 11 mean windows-1254 and -874, which have more. NULL, "" and a name that is not known mean UTF-8, as in
 * Flash; so do those of AIR's that are missing here: the other DOS and Mac pages, EBCDIC, IA5, ISCII, Johab,
 * "hz-gb-2312", "iso-2022-kr" and "utf-7".
 */
SS_API ss_status ss_socket_read_multi_byte(ss_socket *socket,
                                           size_t byte_length,
                                           const char *charset,
                                           char *dst,
                                           size_t capacity,
                                           size_t *length);

/**
 * Socket.writeBoolean: one byte, 1 or 0.
 *
 * This and the following writes are all or nothing. SS_ERR_FULL: the write limit is reached. SS_ERR_IO 2002: as
 * ss_socket_write_bytes.
 */
SS_API ss_status ss_socket_write_boolean(ss_socket *socket, bool value);

/**
 * Socket.writeByte: the low 8 bits of value.
 */
SS_API ss_status ss_socket_write_byte(ss_socket *socket, int32_t value);

/**
 * Socket.writeShort: the low 16 bits of value.
 */
SS_API ss_status ss_socket_write_short(ss_socket *socket, int32_t value);

/**
 * Socket.writeInt: 32 bits, signed.
 */
SS_API ss_status ss_socket_write_int(ss_socket *socket, int32_t value);

/**
 * Socket.writeUnsignedInt: 32 bits, unsigned.
 */
SS_API ss_status ss_socket_write_unsigned_int(ss_socket *socket, uint32_t value);

/**
 * Socket.writeFloat: 32 bits, IEEE 754.
 */
SS_API ss_status ss_socket_write_float(ss_socket *socket, float value);

/**
 * Socket.writeDouble: 64 bits, IEEE 754.
 */
SS_API ss_status ss_socket_write_double(ss_socket *socket, double value);

/**
 * Socket.writeUTF: a text with its length in bytes, 16 bits, before it; without its NUL.
 *
 * SS_ERR_RANGE 2006: it has more than 65535 bytes, and nothing was written. SS_ERR_TYPE 2007: text is NULL.
 */
SS_API ss_status ss_socket_write_utf(ss_socket *socket, const char *text);

/**
 * Socket.writeUTFBytes: a text's bytes, without a length and without its NUL. SS_ERR_TYPE 2007: text is NULL.
 */
SS_API ss_status ss_socket_write_utf_bytes(ss_socket *socket, const char *text);

/**
 * Socket.writeMultiByte: a text, given in UTF-8, in another charset (see ss_socket_read_multi_byte). A character that
 * the charset has not is sent as '?'. SS_ERR_TYPE 2007: text is NULL.
 */
SS_API ss_status ss_socket_write_multi_byte(ss_socket *socket, const char *text, const char *charset);

/* ---- TLS: SecureSocket, and secure servers --------------------------------------------------------------------------- */

/**
 * SecureSocket.isSupported: whether this library was built with TLS. Without it all functions here answer
 * SS_ERR_UNSUPPORTED, or that a socket is plain. Any thread.
 */
SS_API bool ss_tls_is_supported(void);

/**
 * Makes an ss_tls without an identity, which trusts the public authorities that browsers trust (Mozilla's list, as the library
 * has it). For most clients that is all.
 *
 * Returns one reference: give it back with ss_release. NULL on failure; SS_ERR_UNSUPPORTED: built without TLS.
 */
SS_API ss_tls *ss_tls_new(void);

/**
 * Sets who we are: a chain of certificates, our own first, and its private key. Both are copied; each is PEM, or DER (of
 * the certificate alone, of the key as PKCS#8, PKCS#1 or SEC1). A key that is encrypted is not taken.
 *
 * A server shows it to clients that ask for that name (SNI): "example.org", or "*.example.org" for all names one label
 * longer. name NULL or "": to all others, and to clients that ask for none; a client shows this one if it is asked to show a
 * certificate. A server without any refuses every handshake.
 * Set again for the same name it takes the place of the former: a certificate is renewed without a restart, and no
 * connection or handshake under way fails. chain NULL removes it; the key is ignored then.
 * SS_ERR_ARGUMENT 2004: the chain or the key is malformed, the key does not fit the chain, the name is no host's name, or there is
 * none to be removed; nothing was changed, and the detail says which. SS_ERR_TYPE 2007: key is NULL, and chain is not.
 */
SS_API ss_status ss_tls_set_identity(ss_tls *tls,
                                     const char *name,
                                     const void *chain,
                                     size_t chain_length,
                                     const void *private_key,
                                     size_t private_key_length);

/**
 * SecureSocket.addBinaryChainBuildingCertificate: adds one or more certificates, PEM or DER, which are copied.
 *
 * trusted: authorities, whose signature is trusted besides the public ones', and for a server: who may sign the certificates of
 * clients; only these may, none of the public ones. A certificate that is its own issuer, of a device say, is trusted as it is
 * if it is valid for the name that is connected to. Otherwise they are links: used to find the way from a server's certificate to an
 * authority where the server does not send them.
 * SS_ERR_ARGUMENT 2004: malformed, or without a certificate; nothing was added. SS_ERR_TYPE 2007: certificate is NULL.
 */
SS_API ss_status ss_tls_add_certificate(ss_tls *tls,
                                        const void *certificate,
                                        size_t length,
                                        bool trusted);

/**
 * Sets which protocols are spoken above TLS (ALPN), the best first: "h2,http/1.1". NULL or "": none, as at first.
 *
 * A client offers them; a server takes the first of its own that the client offers, and refuses a client that offers only
 * others. ss_socket_protocol says what came of it. SS_ERR_ARGUMENT 2004: a name between the commas is empty, or longer than 255
 * bytes.
 */
SS_API ss_status ss_tls_set_protocols(ss_tls *tls,
                                      const char *protocols);

/**
 * Sets the secret of a server's session tickets, at least 32 bytes, which are copied: a client that comes back resumes its session, with a
 * shorter handshake, at every ss_tls that has the same secret, the same identities, and, where clients are asked for certificates,
 * the same that are trusted, in whatever loop or process.
 *
 * Without it each ss_tls has a secret of its own, by chance. Tickets are good for 12 hours. Whoever learns the secret can read
 * connections of TLS 1.2 that were resumed with it: change it every day; tickets of the secret before the last change are still
 * taken. NULL: no tickets, and nobody resumes. SS_ERR_ARGUMENT 2004: shorter than 32 bytes.
 */
SS_API ss_status ss_tls_set_ticket_secret(ss_tls *tls,
                                          const void *secret,
                                          size_t length);

/**
 * Makes a server or a socket secure; tls NULL: plain, as at first.
 *
 * A server: the connections that it accepts from now on. Their connect event comes when the handshake is done, with a socket whose
 * peer is known; name is ignored. A handshake that fails is "handshakeError" on the server. Handshakes under way count for
 * SS_OPT_MAX_CONNECTIONS, and have SS_OPT_HANDSHAKE_TIMEOUT.
 *
 * A socket that is not connected: its later connections. "connect" means that the server is who it should be: its certificate is
 * signed by somebody who is trusted, is valid now, and is for name; NULL: for the host that is given to ss_socket_connect. A handshake that
 * fails is ioError 2031; ss_socket_certificate_status and ss_event_detail say why.
 *
 * A socket that is connected (STARTTLS): what is written before leaves plain, what is written later is held back until the handshake
 * is done, and unread bytes are taken for the beginning of the peer's handshake. Then "connect" comes on the socket; if
 * the handshake fails ioError and close. With a name, and where the socket itself has connected, we are TLS's client, and else its
 * server. tls NULL of a connected socket does nothing if it is plain.
 *
 * tls is used for as long as this stands; no reference to it is needed. SS_ERR_IO 2002: the socket is secure or connecting
 * already, the server is closed, or a socket that is connected has called ss_socket_shutdown or has met the peer's end.
 * SS_ERR_ARGUMENT 2004: name is neither a host's name nor an IP address. SS_ERR_UNSUPPORTED: built without TLS.
 */
SS_API ss_status ss_set_tls(ss_object *object,
                            ss_tls *tls,
                            const char *name);

/**
 * The version of TLS of a socket's connection: 12 or 13; 0 while it is plain, or its handshake is not done.
 *
 * This and what follows stays readable when the connection is over, until the socket is connected anew.
 */
SS_API int32_t ss_socket_tls_version(ss_socket *socket);

/**
 * The name that the client has asked for (SNI), in small letters; on a client the name that it has asked for itself. NULL if there is
 * none. The text is the library's, and valid until the socket is connected anew, or its end.
 */
SS_API const char *ss_socket_server_name(ss_socket *socket);

/**
 * The protocol that both sides have agreed upon (ALPN); NULL if none. The text is the library's, and valid as
 * ss_socket_server_name's.
 */
SS_API const char *ss_socket_protocol(ss_socket *socket);

/**
 * SecureSocket.serverCertificate: a certificate of the peer's chain in DER; index 0 is the peer's own, the next ones are what it
 * sent with it. *length receives how many bytes. Also of one that was not trusted.
 *
 * The bytes are the library's, and valid as ss_socket_server_name's text. NULL with *length 0: there is none at that index.
 */
SS_API const uint8_t *ss_socket_peer_certificate(ss_socket *socket,
                                                 size_t index,
                                                 size_t *length);

/**
 * SecureSocket.serverCertificateStatus, of the peer's certificate, in the words of AIR's CertificateStatus: "trusted", "expired",
 * "notYetValid", "principalMismatch" (it is for another name), "untrustedSigners" (of an authority that is not trusted), "invalidChain"
 * (a signature or a link of the chain is wrong), "revoked", "invalid" (malformed, or not for this use), "unknown" (there is none, or it was
 * not looked at). Never NULL for a socket; the text is constant.
 */
SS_API const char *ss_socket_certificate_status(ss_socket *socket);

/* ---- Options --------------------------------------------------------------------------------------------------------- */

/**
 * Sets an option.
 *
 * SS_ERR_ARGUMENT 2008: there is no such option, or only servers have it. SS_ERR_RANGE 2006: the value does not fit
 * it. SS_ERR_IO 2002: it is for before bind, or the system refused.
 */
SS_API ss_status ss_set_option(ss_object *object, ss_option option, int64_t value);

/**
 * What an option is set to.
 *
 * SS_ERR_ARGUMENT 2008: there is no such option, or only servers have it.
 */
SS_API ss_status ss_get_option(ss_object *object, ss_option option, int64_t *value);

/* ---- Figures and the log --------------------------------------------------------------------------------------------- */

/**
 * Figures of a server and the connections that it has accepted.
 *
 * Set stats->size = sizeof *stats before the call. SS_ERR_TYPE 2007: stats is NULL. SS_ERR_ARGUMENT 2004: size is not
 * set.
 */
SS_API ss_status ss_server_stats(ss_server *server, ss_stats *stats);

/**
 * Sets the function that gets the library's messages, one for the process; NULL: none, as at first. Without it the
 * library prints nothing.
 *
 * Any thread. Another thread may still be inside the old function when this returns.
 */
SS_API ss_status ss_set_log(ss_log log, void *user_data);

/* ---- Objects in AMF: readObject and writeObject ---------------------------------------------------------------------- */

/**
 * Socket.readObject(): takes the object that comes next from the unread bytes. *value receives one reference to it:
 * give it back with ss_release.
 *
 * SS_ERR_EOF 2030: it has not arrived as a whole yet. SS_ERR_ARGUMENT 2008: what has arrived is no object of the
 * socket's encoding. SS_ERR_RANGE 2006: it is nested more than 128 deep, is longer than SS_OPT_READ_LIMIT, or would
 * take more memory than 16 times that (or 16 MiB, if that is more), the handles of its parts included. SS_ERR_UNSUPPORTED: it is of an IExternalizable
 * class, whose encoding nobody else knows. SS_ERR_IO 2002: not connected and nothing left to read.
 *
 * After a failure all bytes are unread still, and the connection goes on: but only after SS_ERR_EOF can more bytes
 * mend it, and after SS_ERR_RANGE a higher SS_OPT_READ_LIMIT. Where the object ends is not known otherwise, so that one mostly closes the socket.
 * Strings are what the peer sent: UTF-8, if it keeps to the format. The endian of the socket does not matter.
 */
SS_API ss_status ss_socket_read_object(ss_socket *socket,
                                       ss_value **value);

/**
 * Socket.writeObject(): writes a value with all its parts, all or nothing. The value stays the caller's, unchanged.
 *
 * What is met in it twice is written once, and referred to then, as long as it is no string in AMF0. AMF0 knows
 * neither byte arrays nor vectors nor dictionaries: they are written in AMF3 inside it, as the format provides for.
 * SS_ERR_FULL: it would exceed the write limit. SS_ERR_IO 2002: as ss_socket_write_bytes. SS_ERR_RANGE 2006: it is nested more
 * than 128 deep, or too long for the encoding (a name in AMF0 has at most 65535 bytes). SS_ERR_ARGUMENT 2004: an item
 * of a vector of numbers is none, a dictionary's last key has no value, or in AMF3 an array has a property named "".
 */
SS_API ss_status ss_socket_write_object(ss_socket *socket,
                                        ss_value *value);

/**
 * Socket.objectEncoding: SS_AMF3 (the default) or SS_AMF0.
 */
SS_API int32_t ss_socket_object_encoding(ss_socket *socket);

/**
 * Sets Socket.objectEncoding, for the objects read and written from now on. It outlives the connection.
 *
 * SS_ERR_ARGUMENT 2008: it is neither SS_AMF3 nor SS_AMF0.
 */
SS_API ss_status ss_socket_set_object_encoding(ss_socket *socket, int32_t encoding);

/**
 * Makes a value of a type, SS_VALUE_...: false, 0, "" or without parts.
 *
 * Returns one reference: give it back with ss_release. NULL on failure; SS_ERR_ARGUMENT 2008: no such type.
 */
SS_API ss_value *ss_value_new(int32_t type);

/**
 * What a value is: SS_VALUE_...; 0 if it is not one.
 */
SS_API int32_t ss_value_type(ss_value *value);

/**
 * Whether a value is true. Only a boolean can be.
 */
SS_API bool ss_value_boolean(ss_value *value);

/**
 * The number that an integer, a number, a date or a boolean is. 0 for other types.
 */
SS_API double ss_value_number(ss_value *value);

/**
 * The bytes of a string, of XML or of a byte array, with a NUL behind them; *length (may be NULL) receives how many,
 * without the NUL. NULL, with *length 0, for other types.
 *
 * They are the library's, and valid until the value is set anew or the whole destroyed.
 */
SS_API const char *ss_value_bytes(ss_value *value, size_t *length);

/**
 * The class of an object, as the peer has registered it (registerClassAlias), or that of a vector's items; *length
 * (may be NULL) receives its length. NULL, with *length 0, if there is none.
 *
 * The text is the library's, and valid until the class is set anew or the whole destroyed.
 */
SS_API const char *ss_value_class_name(ss_value *value, size_t *length);

/**
 * How many items an array, vector or dictionary has. 0 for other types.
 */
SS_API size_t ss_value_item_count(ss_value *value);

/**
 * An item of an array, vector or dictionary; the first is 0. Borrowed.
 *
 * NULL if there is none of that index: SS_ERR_RANGE 2006.
 */
SS_API ss_value *ss_value_item(ss_value *value, size_t index);

/**
 * How many properties an object has, or an array besides its items. 0 for other types.
 */
SS_API size_t ss_value_property_count(ss_value *value);

/**
 * The name of a property; the first is 0. *length (may be NULL) receives its length: a peer's name may contain NULs.
 * They come in the order in which they were written.
 *
 * The text is the library's, and valid until the whole is destroyed. NULL, with *length 0, if there is none of that
 * index: SS_ERR_RANGE 2006.
 */
SS_API const char *ss_value_property_name(ss_value *value, size_t index, size_t *length);

/**
 * A property by its place; the first is 0. Borrowed.
 *
 * NULL if there is none of that index: SS_ERR_RANGE 2006.
 */
SS_API ss_value *ss_value_property_at(ss_value *value, size_t index);

/**
 * A property by its name. Borrowed. NULL if there is none, which is no failure.
 *
 * SS_ERR_TYPE 2007: name is NULL.
 */
SS_API ss_value *ss_value_property(ss_value *value, const char *name);

/**
 * Makes a value one of another type, SS_VALUE_...: false, 0, "" or without parts.
 *
 * SS_ERR_ARGUMENT 2008: no such type. This and the functions below set a value as often as one likes, but not one
 * that has parts: SS_ERR_ARGUMENT 2004.
 */
SS_API ss_status ss_value_set(ss_value *value, int32_t type);

/**
 * Makes a value a boolean.
 */
SS_API ss_status ss_value_set_boolean(ss_value *value, bool boolean);

/**
 * Makes a value an integer.
 */
SS_API ss_status ss_value_set_integer(ss_value *value, int32_t integer);

/**
 * Makes a value a number.
 */
SS_API ss_status ss_value_set_number(ss_value *value, double number);

/**
 * Makes a value a date: milliseconds since 1970, UTC.
 */
SS_API ss_status ss_value_set_date(ss_value *value, double milliseconds);

/**
 * Makes a value a string, in UTF-8. The text is copied.
 *
 * SS_ERR_TYPE 2007: text is NULL.
 */
SS_API ss_status ss_value_set_string(ss_value *value, const char *text);

/**
 * Makes a value one of the types that consist of bytes, and copies them: SS_VALUE_STRING, SS_VALUE_BYTE_ARRAY,
 * SS_VALUE_XML, SS_VALUE_XML_DOCUMENT.
 *
 * SS_ERR_ARGUMENT 2008: another type.
 */
SS_API ss_status ss_value_set_bytes(ss_value *value, int32_t type, const void *src, size_t length);

/**
 * Makes an object, with or without parts, one of a class, by the name under which the peer has registered it; or says
 * what a vector of objects is of. NULL or "": of none.
 *
 * SS_ERR_ARGUMENT 2004: another type.
 */
SS_API ss_status ss_value_set_class_name(ss_value *value, const char *name);

/**
 * Makes a value the same as another. If both are parts of one whole, that value is in both places from now on, even if
 * it comes to be a part of itself. If not, the value becomes a copy of the other, with copies of all its parts.
 *
 * SS_ERR_ARGUMENT 2004: the value has parts.
 */
SS_API ss_status ss_value_assign(ss_value *value,
                                 ss_value *other);

/**
 * Adds an item to an array, vector or dictionary. It is undefined until it is set. Borrowed.
 *
 * NULL on failure; SS_ERR_ARGUMENT 2004: another type.
 */
SS_API ss_value *ss_value_add_item(ss_value *value);

/**
 * Adds a property to an object, or to an array besides its items. It is undefined until it is set. Borrowed. To set
 * one that is there already, get it with ss_value_property: of two with the same name the later one counts.
 *
 * NULL on failure; SS_ERR_ARGUMENT 2004: another type. SS_ERR_TYPE 2007: name is NULL.
 */
SS_API ss_value *ss_value_add_property(ss_value *value, const char *name);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SERVER_SOCKET_H */
