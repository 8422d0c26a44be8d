/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A small web server: a page, or the files of a folder. HTTP/1.1, GET and HEAD, ranges, connections kept open.
 *
 *     build/http_hello [port; 0 = any, default 8080] [seconds that a client may be silent, default 10] [folder]
 *     curl -i http://127.0.0.1:8080/
 *     curl -C - -O http://127.0.0.1:8080/large.iso
 *     ab -k -n 100000 -c 50 http://127.0.0.1:8080/
 *
 * What to copy from here:
 *  - Requests are parsed where they lie, in the socket's unread bytes (http.h). An incomplete request is left unread, so
 *    it does not matter in how many pieces one arrives, or how many arrive at once; there is no buffer for a connection.
 *  - A file is sent in pieces, and read on when those before have left (outputProgress). So a slow client costs
 *    MOST_PENDING bytes of memory, however long the file is, and a fast one does not keep the others waiting.
 *  - A client that ends its side behind its requests, as `nc -N` does, gets all its replies: while one is
 *    under way reading is paused, and with it the news of the end.
 *  - A path is walked name by name, and links are not followed: none leads out of the folder. See open_file().
 *  - How not to be denied to everybody by some: see defend().
 *
 * Reading a file holds the loop up for as long as the disk takes; workers.c shows how others can do what takes long.
 */
#define _XOPEN_SOURCE 700 /* for openat, getrlimit and the like */
#define _FILE_OFFSET_BITS 64
#include "http.h"

#include <errno.h>
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

enum {
    LARGEST_REPLY = 1024,      /* its head, and a body that is not a file's */
    LARGEST_NAME = 255,        /* of a file or a folder */
    PIECE = 64 * 1024,         /* of a file, read and written at once */
    MOST_PENDING = 256 * 1024, /* unsent bytes of replies at which we stop to answer; see serve() */
    LEAST_BYTES = 64,     /* in the seconds that a client may be silent; requests and replies are longer */
    OWN_DESCRIPTORS = 64, /* those that are neither connections nor their files */
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

/* ---- Files. ---- */

typedef struct file {
    int fd;
    long long size;
    char tag[64]; /* another one for each content: by it a client knows whether a rest is that of what it has */
} file;

static int folder = -1; /* what is served; -1: only the page */

#ifdef _WIN32 /* which has no openat: there it is the page alone */
static bool open_folder(const char *path)
{
    (void)path;
    return false;
}

static const char *open_file(text path, file *found)
{
    (void)path;
    (void)found;
    return "404 Not Found";
}

static long read_piece(int fd, char *piece, size_t length, long long at)
{
    (void)fd;
    (void)piece;
    (void)length;
    (void)at;
    return -1;
}

static void close_file(int fd)
{
    (void)fd;
}
#else
static bool open_folder(const char *path)
{
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0;
}

static int digit(int c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, tolower(c));

    return found == NULL ? -1 : (int)(found - digits);
}

/* One name of a path, its %xx undone. Those that are hidden, or no names, are refused: ".x", "", ".", "..", "a%2fb". */
static bool decode(text part, char *name)
{
    size_t i, length = 0;

    for (i = 0; i < part.length; i++) {
        int c = (unsigned char)part.at[i];

        if (c == '%') {
            int high = part.length - i > 2 ? digit((unsigned char)part.at[i + 1]) : -1;
            int low = high < 0 ? -1 : digit((unsigned char)part.at[i + 2]);

            if (low < 0)
                return false;
            c = 16 * high + low;
            i += 2;
        }
        if (c == '\0' || c == '/' || length == LARGEST_NAME)
            return false;
        name[length++] = (char)c;
    }
    name[length] = '\0';
    return length > 0 && name[0] != '.';
}

/* Opens what is called so in a folder, and closes the folder. Neither a link nor a pipe's other end is waited for. */
static int step(int from, const char *name, int flags)
{
    int fd = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags);
    int why = errno;

    close(from);
    errno = why;
    return fd;
}

/* Goes from folder to folder, each looked up in the one before, so that no name leads out, whatever is renamed or
 * linked meanwhile. Returns NULL, or what to say instead. */
static const char *open_file(text path, file *found)
{
    const char *end = path.at + path.length;
    bool is_last = false;
    int fd;
    struct stat status;

    if (path.length == 0 || path.at[0] != '/')
        return "404 Not Found";
    take(&path, "/");
    fd = dup(folder);
    while (fd >= 0 && !is_last) {
        char name[LARGEST_NAME + 1] = "index.html"; /* that of a folder */
        text part = take(&path, "/");

        is_last = part.at + part.length == end;
        if (!(is_last && part.length == 0) && !decode(part, name)) {
            close(fd);
            return "404 Not Found";
        }
        fd = step(fd, name, is_last ? 0 : O_DIRECTORY);
    }
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? "503 Service Unavailable" : "404 Not Found";
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return "404 Not Found";
    }
    found->fd = fd;
    found->size = status.st_size;
    snprintf(found->tag, sizeof found->tag, "\"%llx-%llx-%llx\"", (unsigned long long)status.st_ino,
             (unsigned long long)status.st_size, (unsigned long long)status.st_mtime);
    return NULL;
}

static long read_piece(int fd, char *piece, size_t length, long long at)
{
    return (long)pread(fd, piece, length, (off_t)at);
}

static void close_file(int fd)
{
    if (fd >= 0)
        close(fd);
}
#endif

/* What a browser is told by the end of a name. */
static const char *type_of(text path)
{
    static const char *const types[][2] = {
        {"/", "text/html"},         {".html", "text/html"},   {".css", "text/css"},   {".js", "text/javascript"},
        {".json", "application/json"}, {".txt", "text/plain"}, {".png", "image/png"}, {".jpg", "image/jpeg"}};
    size_t i;

    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t length = strlen(types[i][0]);

        if (path.length >= length && memcmp(path.at + path.length - length, types[i][0], length) == 0)
            return types[i][1];
    }
    return "application/octet-stream";
}

/* ---- Replies. ---- */

typedef struct connection {
    int fd;             /* the file that is being sent; -1: none */
    long long at, left; /* from where on, and how much of it */
    bool is_last;       /* the reply under way is the last one */
} connection;

/* Writes a reply but for a file's bytes: its head, and `body` unless it was only asked for the head. */
static ss_status write_reply(ss_socket *socket, const request *r, const char *status, const char *headers, const char *body,
                             long long length)
{
    char out[LARGEST_REPLY]; /* all that goes in is ours, and it fits */
    int written = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Length: %lld\r\nConnection: %s\r\n%s\r\n%s", status,
                           length, r->keep_alive ? "keep-alive" : "close", headers, r->is_head ? "" : body);

    return ss_socket_write_bytes(socket, out, (size_t)written);
}

static ss_status write_text(ss_socket *socket, const request *r, const char *status, const char *headers, const char *body)
{
    return write_reply(socket, r, status, headers, body, (long long)strlen(body));
}

/* Begins to send a file, or what was asked for of it. */
static ss_status begin_file(ss_socket *socket, connection *c, const request *r, const file *f)
{
    char headers[LARGEST_REPLY / 2];
    int length;
    ss_status status;
    enum range range = WHOLE;

    c->at = 0;
    c->left = f->size;
    if (!r->is_head && r->range.length > 0 && (r->if_range.length == 0 || is(r->if_range, f->tag)))
        range = narrow(r->range, &c->at, &c->left);
    if (range == OUTSIDE) {
        snprintf(headers, sizeof headers, "Content-Range: bytes */%lld\r\n", f->size);
        close_file(f->fd);
        return write_text(socket, r, "416 Range Not Satisfiable", headers, "");
    }
    length = snprintf(headers, sizeof headers, "Content-Type: %s\r\nAccept-Ranges: bytes\r\nETag: %s\r\n",
                      type_of(r->path), f->tag);
    if (range == PART)
        snprintf(headers + length, sizeof headers - (size_t)length, "Content-Range: bytes %lld-%lld/%lld\r\n", c->at,
                 c->at + c->left - 1, f->size);
    status = write_reply(socket, r, range == PART ? "206 Partial Content" : "200 OK", headers, "", c->left);
    if (status != SS_OK || r->is_head || c->left == 0)
        close_file(f->fd);
    else
        c->fd = f->fd;
    return status;
}

static ss_status answer(ss_socket *socket, connection *c, const request *r)
{
    const char *missing;
    file f;

    if (r->refused != NULL)
        return write_text(socket, r, r->refused, strncmp(r->refused, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "", "");
    if (folder < 0 && is(r->path, "/"))
        return write_text(socket, r, "200 OK", "Content-Type: text/html\r\n", page);
    if (folder < 0)
        return write_text(socket, r, "404 Not Found", "Content-Type: text/plain\r\n", "There is only one page here: /\n");
    missing = open_file(r->path, &f);
    if (missing != NULL)
        return write_text(socket, r, missing, "Content-Type: text/plain\r\n", "There is no such file here.\n");
    return begin_file(socket, c, r, &f);
}

/* ---- The connection. ---- */

/* Sends the next piece of the file. One that has become shorter cannot be sent as was said: the connection is then
 * reset, so that the client does not take what it has got for all. */
static ss_status send_piece(ss_socket *socket, connection *c)
{
    char piece[PIECE];
    long got = read_piece(c->fd, piece, c->left < PIECE ? (size_t)c->left : PIECE, c->at);
    ss_status status = got > 0 ? ss_socket_write_bytes(socket, piece, (size_t)got) : SS_ERR_IO;

    if (status == SS_OK) {
        c->at += got;
        c->left -= got;
        if (c->left == 0) {
            close_file(c->fd);
            c->fd = -1;
        }
    }
    return status;
}

/* Answers the next request, if it is there; *waiting if not. It counts as read when it has been answered: each call on a
 * socket ends the validity of what was peeked from it. */
static ss_status next_request(ss_socket *socket, connection *c, bool *waiting)
{
    size_t length = 0;
    const char *bytes = (const char *)ss_socket_peek(socket, &length);
    request r;
    size_t used = length > 0 ? parse(bytes, length, &r) : 0;
    ss_status status;

    *waiting = used == 0;
    if (used == 0)
        return SS_OK;
    status = answer(socket, c, &r);
    c->is_last = !r.keep_alive;
    return status == SS_OK ? ss_socket_skip(socket, used) : status;
}

/* Called when bytes came in, and when waiting output went out. Clients may send many requests without waiting for the
 * replies (pipelining), so this answers all that are there, but not more than MOST_PENDING bytes at once: others want
 * their turn. Who sends on and on without reading is neither answered nor read from until it reads. The outputProgress
 * event continues from there. */
static void serve(ss_socket *socket, connection *c)
{
    long written = 0; /* about */
    bool waiting = false;
    ss_status status = SS_OK;

    while (status == SS_OK && written < MOST_PENDING && ss_socket_bytes_pending(socket) < MOST_PENDING) {
        if (c->fd >= 0) {
            status = send_piece(socket, c);
            written += PIECE;
        } else if (c->is_last) {
            ss_socket_close(socket); /* the replies are still sent, in the background */
            return;
        } else if (waiting) {
            ss_socket_resume(socket);
            return;
        } else {
            status = next_request(socket, c, &waiting);
            written += LARGEST_REPLY;
        }
    }
    if (status != SS_OK)
        ss_socket_abort(socket);
    else
        ss_socket_pause(socket);
}

static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);

    (void)user_data;
    serve(socket, (connection *)ss_user_data(socket));
}

/* When the socket is gone, however that came. */
static void forget(void *user_data)
{
    connection *c = (connection *)user_data;

    close_file(c->fd);
    free(c);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event); /* borrowed: not kept, it closes on return */
    connection *c = (connection *)calloc(1, sizeof *c);

    (void)user_data;
    if (c == NULL)
        return;
    c->fd = -1;
    if (ss_set_user_data(socket, c, forget) != SS_OK)
        free(c);
    else if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
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
    long most = folder < 0 ? most_connections() : most_connections() / 2; /* each may have a file, too */
    ss_status status = ss_set_option(server, SS_OPT_MAX_CONNECTIONS, most);

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

    if (argc > 3 && !open_folder(argv[3])) {
        perror(argv[3]);
        return EXIT_FAILURE;
    }
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
