/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A small web server: one page, HTTP/1.1, connections kept open.
 *
 *     build/http_hello [port; 0 = any, default 8080] [seconds that a client may be silent, default 10]
 *     curl -i http://127.0.0.1:8080/
 *     ab -k -n 100000 -c 50 http://127.0.0.1:8080/
 *
 * What to copy from here: requests are parsed where they lie, in the socket's unread bytes. An
 * incomplete request is left unread, so it does not matter in how many pieces one arrives, or how
 * many arrive at once; there is no buffer and no parser state per connection. And how not to be denied to
 * everybody by some: see defend().
 */
#define _XOPEN_SOURCE 600 /* for getrlimit and setrlimit */
#include <ctype.h>
#include <limits.h>
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

enum {
    LARGEST_HEAD = 8 * 1024,   /* request line and headers */
    MOST_PENDING = 256 * 1024, /* unsent replies at which we stop to answer; see on_data */
    LARGEST_REPLY = 512,
    LEAST_BYTES = 64,     /* in the seconds that a client may be silent; requests and replies are longer */
    OWN_DESCRIPTORS = 64, /* those that are not connections */
    MOST_CONNECTIONS = 100000
};

static const char page[] = "<!doctype html>\n"
                           "<title>Hello</title>\n"
                           "<p>Hello from server_socket.\n";

static int fail(const char *what)
{
    fprintf(stderr, "http_hello: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

/* ---- Text in place: a piece of the unread bytes, not ended by a NUL. ---- */

typedef struct text {
    const char *at;
    size_t length;
} text;

/* Cuts off and returns what is before the separator, or all when there is none. */
static text take(text *rest, const char *separator)
{
    size_t width = strlen(separator);
    text taken = *rest;
    size_t i;

    for (i = 0; i + width <= rest->length; i++) {
        if (memcmp(rest->at + i, separator, width) == 0) {
            taken.length = i;
            rest->at += i + width;
            rest->length -= i + width;
            return taken;
        }
    }
    rest->at += rest->length;
    rest->length = 0;
    return taken;
}

static text trim(text t)
{
    while (t.length > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.length--;
    }
    while (t.length > 0 && (t.at[t.length - 1] == ' ' || t.at[t.length - 1] == '\t'))
        t.length--;
    return t;
}

static bool is(text t, const char *word)
{
    return t.length == strlen(word) && memcmp(t.at, word, t.length) == 0;
}

/* Like is(), but capital letters are as good as small ones; `word` has small ones. */
static bool is_any_case(text t, const char *word)
{
    size_t i;

    for (i = 0; i < t.length; i++)
        if (tolower((unsigned char)t.at[i]) != word[i]) /* also where `word` ends */
            return false;
    return word[i] == '\0';
}

/* ---- One request, one reply. ---- */

typedef struct reply {
    const char *status;
    const char *headers; /* further ones, each with its line end */
    const char *body;
    bool keep_alive;
} reply;

/* A reply after which the connection ends: what follows in the stream cannot be trusted to be
 * another request. */
static reply refuse(const char *status, const char *headers)
{
    reply r = {NULL, NULL, "", false};

    r.status = status;
    r.headers = headers;
    return r;
}

/* `head` is everything before the empty line. */
static reply answer(text head)
{
    text line = take(&head, "\r\n");
    text method = take(&line, " ");
    text path = take(&line, " ");
    text version = line;
    bool is_1_1 = is(version, "HTTP/1.1");
    bool has_host = false, has_body = false, says_close = false, says_keep_alive = false;
    reply r;

    if (method.length == 0 || path.length == 0)
        return refuse("400 Bad Request", "");
    if (!is_1_1 && !is(version, "HTTP/1.0"))
        return refuse("505 HTTP Version Not Supported", "");

    while (head.length > 0) {
        text value = take(&head, "\r\n");
        text name = take(&value, ":");

        value = trim(value);
        if (name.length == 0 || trim(name).length != name.length)
            return refuse("400 Bad Request", "");
        if (is_any_case(name, "host"))
            has_host = true;
        else if (is_any_case(name, "content-length"))
            has_body = has_body || !is(value, "0");
        else if (is_any_case(name, "transfer-encoding"))
            has_body = true;
        else if (is_any_case(name, "connection")) {
            while (value.length > 0) { /* a list: "keep-alive, upgrade" */
                text option = trim(take(&value, ","));

                says_close = says_close || is_any_case(option, "close");
                says_keep_alive = says_keep_alive || is_any_case(option, "keep-alive");
            }
        }
    }
    if (!is(method, "GET"))
        return refuse("405 Method Not Allowed", "Allow: GET\r\n");
    if (has_body || (is_1_1 && !has_host))
        return refuse("400 Bad Request", "");

    /* HTTP/1.1 keeps the connection unless told otherwise, HTTP/1.0 ends it unless told otherwise. */
    r.keep_alive = !says_close && (is_1_1 || says_keep_alive);
    path = take(&path, "?");
    if (is(path, "/")) {
        r.status = "200 OK";
        r.headers = "Content-Type: text/html\r\n";
        r.body = page;
    } else {
        r.status = "404 Not Found";
        r.headers = "Content-Type: text/plain\r\n";
        r.body = "There is only one page here: /\n";
    }
    return r;
}

/* Looks for a request at the start of the unread bytes. Returns how many bytes it takes up and
 * puts the reply for it in *r; returns 0 while it is not all there yet. */
static size_t parse(const char *bytes, size_t length, reply *r)
{
    text rest = {NULL, 0}, head;
    /* Some clients send one line end too many after a request: it is then in front of the next. */
    size_t blank = length >= 2 && memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;

    rest.at = bytes + blank;
    rest.length = length - blank < LARGEST_HEAD ? length - blank : LARGEST_HEAD;
    head = take(&rest, "\r\n\r\n");
    if (rest.at != head.at + head.length) { /* the empty line was found */
        *r = answer(head);
        return (size_t)(rest.at - bytes);
    }
    if (head.length < LARGEST_HEAD)
        return 0;
    *r = refuse("431 Request Header Fields Too Large", "");
    return length;
}

/* ---- The connection. ---- */

/* Sends one reply and counts its request as read. The two go together: each call on a socket ends
 * the validity of what was peeked from it. */
static ss_status send_reply(ss_socket *socket, const reply *r, size_t request_length)
{
    char out[LARGEST_REPLY]; /* all that goes in is ours, and it fits */
    int length = snprintf(out, sizeof out,
                          "HTTP/1.1 %s\r\nContent-Length: %u\r\nConnection: %s\r\n%s\r\n%s",
                          r->status, (unsigned)strlen(r->body),
                          r->keep_alive ? "keep-alive" : "close", r->headers, r->body);
    ss_status status = ss_socket_write_bytes(socket, out, (size_t)length);

    return status == SS_OK ? ss_socket_skip(socket, request_length) : status;
}

/* Called when bytes came in, and when waiting output went out. Clients may send many requests
 * without waiting for the replies (pipelining), so this answers all that are there. Who sends on
 * and on without reading is neither answered nor read from until it reads: MOST_PENDING is the
 * bound, and the outputProgress event continues from there. */
static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);

    (void)user_data;
    while (ss_socket_bytes_pending(socket) < MOST_PENDING) {
        size_t length = 0;
        const char *bytes = (const char *)ss_socket_peek(socket, &length);
        reply r;
        size_t used = length > 0 ? parse(bytes, length, &r) : 0;

        if (used == 0) {
            ss_socket_resume(socket);
            return;
        }
        if (send_reply(socket, &r, used) != SS_OK) {
            fail("reply");
            ss_socket_abort(socket);
            return;
        }
        if (!r.keep_alive) {
            ss_socket_close(socket); /* the reply is still sent, in the background */
            return;
        }
    }
    ss_socket_pause(socket);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event); /* borrowed: not kept, it closes on return */

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, on_data, NULL, false, 0) != SS_OK ||
        ss_socket_keep(socket) != SS_OK) /* until its connection ends, whoever ends it */
        fail("connect");
}

/* ---- The server. ---- */

/* How many connections the system lets us have: the usual limit is low, and is raised as far as allowed. */
static long most_connections(void)
{
    long most = MOST_CONNECTIONS + OWN_DESCRIPTORS;
#ifndef _WIN32 /* which has no such limit */
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t wanted = limit.rlim_max < (rlim_t)most ? limit.rlim_max : (rlim_t)most;
#ifdef OPEN_MAX /* macOS refuses more than this */
        wanted = wanted < OPEN_MAX ? wanted : OPEN_MAX;
#endif
        limit.rlim_cur = limit.rlim_cur < wanted ? wanted : limit.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            perror("http_hello: the descriptor limit stays as it was");
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)most)
            most = (long)limit.rlim_cur;
    }
#endif
    return most > 2 * OWN_DESCRIPTORS ? most - OWN_DESCRIPTORS : OWN_DESCRIPTORS;
}

/* Who is silent, who does not read, and who sends a byte now and then: each of them would hold its connection for
 * ever, and some thousand of them all that there are. They are given up after some seconds; at the limit others
 * wait in the system's queue for so long, and are not refused. */
static ss_status defend(ss_server *server, int seconds)
{
    ss_status status = ss_set_option(server, SS_OPT_MAX_CONNECTIONS, most_connections());

    if (status == SS_OK)
        status = ss_set_option(server, SS_OPT_IDLE_TIMEOUT, (int64_t)seconds * 1000);
    if (status == SS_OK)
        status = ss_set_option(server, SS_OPT_IDLE_BYTES, LEAST_BYTES);
    if (status == SS_OK)
        status = ss_set_option(server, SS_OPT_LINGER, (int64_t)seconds * 1000);
    if (status == SS_OK)
        status = ss_set_option(server, SS_OPT_READ_LIMIT, 16 * LARGEST_HEAD);
    return status;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    ss_server *server = ss_new(NULL);

    if (server == NULL || defend(server, argc > 2 ? atoi(argv[2]) : 10) != SS_OK ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return fail("cannot start");
    printf("listening on http://%s:%d/\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);

    if (ss_loop_run(NULL) != SS_OK)
        return fail("cannot go on");
    ss_release(server);
    return EXIT_SUCCESS;
}
