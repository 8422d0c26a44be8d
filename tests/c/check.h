/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every C test program needs: assertions, a runner that gives each case a process of its own, and the other
 * end of the wire: a plain POSIX client (on Windows by way of windows.h). It is C99 and C++11 at once, as every
 * program here is.
 *
 * A failed check ends its case at once. Nothing here sleeps: waiting means turning the loop, up to a deadline.
 *
 * SS_TEST_SLOW=<n> (set for runs under valgrind) makes deadlines n times as long and volumes n times as small.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "server_socket.h" /* first: it must not need anything before it */

#include "declared.h" /* made by tests/support: HAVE_<function> for each function that the header declares */

#ifdef _WIN32
#include "windows.h"
#else
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/tcp.h> /* not netinet/tcp.h: its tcp_info stops short of the segment counters */
#include <sys/prctl.h>
#endif
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Time ---- */

static inline int slow_factor(void)
{
    const char *text = getenv("SS_TEST_SLOW");
    int factor = text ? atoi(text) : 1;
    return factor > 1 ? factor : 1;
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long one awaited thing may take: far more than it needs on a busy machine. */
static inline int64_t patience_ms(void)
{
    return 20000 * (int64_t)slow_factor();
}

/* ---- Assertions ---- */

/* What a case that plays many variants is at, for the report. */
static char check_context[200];

static inline void check_end(void)
{
    if (check_context[0] != '\0') fprintf(stderr, "    %s\n", check_context);
    _exit(1); /* not exit: nothing of the library may run on a state that is known to be wrong */
}

static inline void check_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    check_end();
}

static inline void check_equal(const char *file, int line, const char *what, long long seen, long long expected)
{
    if (seen == expected) return;
    fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, seen, expected);
    check_end();
}

static inline void check_text(const char *file, int line, const char *what, const char *seen, const char *expected)
{
    if (seen == expected || (seen && expected && strcmp(seen, expected) == 0)) return;
    fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, seen ? seen : "(NULL)", expected ? expected : "(NULL)");
    check_end();
}

static inline void check_status(const char *file, int line, const char *what, int32_t seen, int32_t expected)
{
    if (seen == expected) return;
    fprintf(stderr, "%s:%d: %s gives %s, not %s; last error: #%d \"%s\", errno %d\n", file, line, what, ss_status_name(seen),
            ss_status_name(expected), ss_last_error_id(), ss_last_error_message(), ss_last_os_error());
    check_end();
}

#define ANY_OS_ERROR (-1)

static inline void check_fails(const char *file, int line, const char *what, int32_t seen, int32_t expected, int32_t id,
                               const char *message, int os_error)
{
    check_status(file, line, what, seen, expected);
    if (ss_last_status() == (ss_status)expected && ss_last_error_id() == id && strcmp(ss_last_error_message(), message) == 0 &&
        (os_error == ANY_OS_ERROR || ss_last_os_error() == os_error))
        return;
    fprintf(stderr, "%s:%d: %s leaves the error #%d \"%s\", errno %d, not #%d \"%s\", errno %d\n", file, line, what,
            ss_last_error_id(), ss_last_error_message(), ss_last_os_error(), id, message, os_error);
    check_end();
}

#define CHECK(condition) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "not true: " #condition))
#define CHECK_EQ(seen, expected) check_equal(__FILE__, __LINE__, #seen, (long long)(seen), (long long)(expected))
#define CHECK_TEXT(seen, expected) check_text(__FILE__, __LINE__, #seen, (seen), (expected))
#define CHECK_STATUS(status, call) check_status(__FILE__, __LINE__, #call, (call), (status))
#define CHECK_OK(call) CHECK_STATUS(SS_OK, call)

/* The call fails with this status, and leaves this AIR error (one of the pairs below) and errno. */
#define CHECK_FAILS(status, air_error, os_error, call) \
    check_fails(__FILE__, __LINE__, #call, (call), (status), air_error, (os_error))

#define AIR_2002 2002, "Operation attempted on invalid socket."
#define AIR_2003 2003, "Invalid socket port number specified."
#define AIR_2004 2004, "One of the parameters is invalid."
#define AIR_2006 2006, "The supplied index is out of bounds."
#define AIR_2007_EVENT 2007, "Parameter event must be non-null."
#define AIR_2007_LISTENER 2007, "Parameter listener must be non-null."
#define AIR_2007_TYPE 2007, "Parameter type must be non-null."
#define AIR_2030 2030, "End of file was encountered."
#define AIR_2094 2094, "Event dispatch recursion overflow."

/* ---- Descriptors ---- */

#ifndef _WIN32
/* The open descriptors of this process in ascending order of the directory; returns how many. */
static inline int list_descriptors(int *descriptors, int capacity)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    if (!directory) directory = opendir("/dev/fd");
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory)) continue;
        if (count < capacity) descriptors[count] = fd;
        ++count;
    }
    closedir(directory);
    return count;
}

static inline int count_descriptors(void)
{
    return list_descriptors(NULL, 0);
}
#endif

/* ---- The runner ---- */

typedef struct {
    const char *name;
    void (*run)(void);
    const char *missing; /* why it cannot be run on this system */
} check_case;

#define CASE(function) {#function, function, NULL}
/* A case that Windows does not have; its code is inside #ifndef _WIN32 where it does not compile there. */
#ifdef _WIN32
#define UNIX_CASE(function, why) {#function, NULL, why}
#else
#define UNIX_CASE(function, why) {#function, function, NULL}
#endif

static inline void skip_case(const char *reason)
{
    printf("SKIPPED: %s\n", reason);
    fflush(stdout);
}

static inline void run_case(const check_case *one)
{
    int before = count_descriptors(), left;
    one->run();
    left = count_descriptors() - before;
#ifdef _WIN32
    if (left == 1) left = 0; /* the first time that threads wait for one another the system takes a handle, for good */
#endif
    CHECK_EQ(left, 0);
}

#ifndef _WIN32
/* Runs a case in a forked process: its exit status, or -1 if it hangs or is ended by a signal, which is reported. */
static inline int run_apart(const check_case *one, const char *program)
{
    int64_t end = now_ms() + 3 * patience_ms();
    int status = 0;
    pid_t child, ended;
    (void)program;
    fflush(stdout);
    child = fork();
    if (child < 0) return perror("fork"), 1;
    if (child == 0) {
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* killing the program must not leave its case behind */
#endif
        run_case(one);
        exit(0);
    }
    while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now_ms() < end) poll(NULL, 0, 2);
    if (ended == 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        return -1;
    }
    if (WIFSIGNALED(status)) fprintf(stderr, "%s: killed by signal %d\n", one->name, WTERMSIG(status));
    return WIFSIGNALED(status) ? 1 : WEXITSTATUS(status);
}

static inline void start_sockets(void)
{
}

static inline int reset_error(void)
{
    return ECONNRESET;
}
#else
static inline int run_apart(const check_case *one, const char *program)
{
    fflush(stdout);
    return run_program(program, one->name, 3 * patience_ms());
}
#endif

/* Each case runs in a process of its own (this one never touches the library), so that a crash, a hang or a leaked
 * descriptor has a name. `program NAME` runs one case in this process, for a debugger. */
static inline int check_main(const check_case *cases, size_t count, int argc, char **argv)
{
    int failures = 0, status;
    size_t i;
    start_sockets();
    for (i = 0; i < count; ++i) {
        if (argc > 1 && strcmp(argv[1], cases[i].name) != 0) continue;
        if (cases[i].missing) {
            printf("SKIPPED: %s: %s\n", cases[i].name, cases[i].missing);
            if (argc > 1) return 0;
            continue;
        }
        if (argc > 1) return run_case(&cases[i]), 0;
        status = run_apart(&cases[i], argv[0]);
        if (status < 0) fprintf(stderr, "FAILED: %s: hangs\n", cases[i].name);
        if (status > 0) fprintf(stderr, "FAILED: %s: exit status %d\n", cases[i].name, status);
        failures += status != 0;
    }
    if (argc > 1) return fprintf(stderr, "no such case: %s\n", argv[1]), 2;
    printf("%d of %d cases failed\n", failures, (int)count);
    return failures != 0;
}

/* ---- The loop ---- */

static inline ss_loop *new_loop(void)
{
    ss_loop *loop = ss_loop_new();
    CHECK(loop != NULL);
    return loop;
}

/* Turns the loop until the condition holds. */
#define PUMP_UNTIL(loop, condition)                                                                        \
    do {                                                                                                   \
        int64_t pump_end = now_ms() + patience_ms();                                                       \
        while (!(condition)) {                                                                             \
            if (now_ms() > pump_end) check_fail(__FILE__, __LINE__, "never became true: " #condition);      \
            CHECK_OK(ss_loop_poll((loop), 10, NULL));                                                      \
        }                                                                                                  \
    } while (0)

/* Turns the loop until it has nothing more to tell: for checks that something did not happen. */
static inline void settle(ss_loop *loop)
{
    int quiet = 0, turns = 0;
    while (quiet < 3) {
        uint32_t events = 0;
        CHECK_OK(ss_loop_poll(loop, 5, &events));
        quiet = events ? 0 : quiet + 1;
        CHECK(++turns < 100000);
    }
}

/* ---- The client ---- */

static inline socklen_t socket_address(struct sockaddr_storage *storage, const char *address, int32_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
    memset(storage, 0, sizeof *storage);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    CHECK_EQ(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

static inline int new_tcp_socket(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    CHECK(fd >= 0);
#ifndef _WIN32
    CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
#endif
    return fd;
}

/* Connects; `buffer_size` > 0 makes the kernel's buffers small. Returns -1 with errno when refused. The kernel completes
 * the handshake, so this needs no turn of the server's loop. */
static inline int client_try_connect(const char *address, int32_t port, int buffer_size)
{
    struct sockaddr_storage storage;
    struct timeval limit;
    socklen_t length = socket_address(&storage, address, port);
    int fd = new_tcp_socket(storage.ss_family), error;
    limit.tv_sec = (time_t)(patience_ms() / 1000);
    limit.tv_usec = 0;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0); /* bounds connect(2) too */
    if (buffer_size > 0) {
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size), 0);
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size), 0);
    }
    error = connect(fd, (struct sockaddr *)&storage, length) == 0 ? 0 : errno;
    if (error == EINTR) { /* the handshake goes on without us: giving up here would leave a peer to the server */
        struct pollfd entry;
        socklen_t size = sizeof error;
        int64_t end = now_ms() + patience_ms();
        entry.fd = fd;
        entry.events = POLLOUT;
        while (poll(&entry, 1, 100) <= 0) CHECK(now_ms() < end);
        CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    }
    if (error == 0) return fd;
    close(fd);
    errno = error;
    return -1;
}

static inline int client_connect(int32_t port)
{
    int fd = client_try_connect("127.0.0.1", port, 0);
    CHECK(fd >= 0);
    return fd;
}

static inline int32_t port_of(int fd)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&storage, &length), 0);
    return storage.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&storage)->sin_port)
                                        : ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
}

/* Waits a moment for the client's socket: by turning the loop, or, without one (NULL), on the socket alone. */
static inline void client_wait(ss_loop *loop, int fd, short what, int64_t end)
{
    struct pollfd entry;
    CHECK(now_ms() < end);
    entry.fd = fd;
    entry.events = what;
    entry.revents = 0;
    if (loop == NULL) {
        poll(&entry, 1, 10);
    } else {
        CHECK_OK(ss_loop_poll(loop, 0, NULL));
        if (poll(&entry, 1, 0) == 0) CHECK_OK(ss_loop_poll(loop, 1, NULL));
    }
}

static inline int is_temporary(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static inline void client_send(ss_loop *loop, int fd, const void *data, size_t size)
{
    int64_t end = now_ms() + patience_ms();
    size_t sent = 0;
    while (sent < size) {
        ssize_t n = send(fd, (const char *)data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            sent += (size_t)n;
        } else {
            CHECK(is_temporary(errno));
            client_wait(loop, fd, POLLOUT, end);
        }
    }
}

/* Receives up to `size` bytes, fewer only if the stream ends; *end_error (may be NULL: no end is expected) is 0 for a FIN,
 * else errno, or -1 when all came without an end. */
static inline size_t client_receive_some(ss_loop *loop, int fd, void *data, size_t size, int *end_error)
{
    int64_t end = now_ms() + patience_ms();
    size_t got = 0;
    if (end_error) *end_error = -1;
    while (got < size) {
        ssize_t n = recv(fd, (char *)data + got, size - got, MSG_DONTWAIT);
        if (n > 0) {
            got += (size_t)n;
        } else if (n < 0 && is_temporary(errno)) {
            client_wait(loop, fd, POLLIN, end);
        } else {
            CHECK(end_error != NULL);
            *end_error = n == 0 ? 0 : errno;
            return got;
        }
    }
    return got;
}

static inline void client_receive(ss_loop *loop, int fd, void *data, size_t size)
{
    client_receive_some(loop, fd, data, size, NULL);
}

/* Receives and drops everything; returns 0 when the stream ends with a FIN, else errno (ECONNRESET). */
static inline int client_end(ss_loop *loop, int fd)
{
    static char sink[65536];
    int error = -1;
    while (error < 0) client_receive_some(loop, fd, sink, sizeof sink, &error);
    return error;
}

/* Nothing has come for the client, not even an end. */
static inline int client_is_idle(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && is_temporary(errno);
}

/* Closes with a RST. */
static inline void client_reset(int fd)
{
    struct linger now;
    now.l_onoff = 1;
    now.l_linger = 0;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_EQ(close(fd), 0);
}

/* `size` bytes in which every position looks different, so that a lost, doubled or moved piece shows. The caller frees. */
static inline unsigned char *new_pattern(size_t size)
{
    unsigned char *bytes = (unsigned char *)malloc(size ? size : 1);
    uint32_t state = 2463534242u;
    size_t i;
    CHECK(bytes != NULL);
    for (i = 0; i < size; ++i) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[i] = (unsigned char)(state >> 24);
    }
    return bytes;
}

/* ---- The server's side ---- */

static inline ss_server *new_listening_server(ss_loop *loop)
{
    ss_server *server = ss_new(loop);
    CHECK(server != NULL);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_listen(server, 0));
    return server;
}

/* A listener that counts; user_data is an int. */
static inline void count_event(ss_event *event, void *user_data)
{
    (void)event;
    ++*(int *)user_data;
}

/* A destructor that counts; user_data is an int. */
static inline void count_call(void *user_data)
{
    ++*(int *)user_data;
}

/* A connect listener that keeps the socket; user_data is an ss_socket *. */
static inline void keep_socket(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    CHECK_OK(ss_retain(socket));
    *(ss_socket **)user_data = socket;
}

/* A socketData listener that sends back what came. */
static inline void echo_data(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    size_t length = 0;
    const uint8_t *bytes = ss_socket_peek(socket, &length);
    (void)user_data;
    CHECK(bytes != NULL && length > 0);
    CHECK_OK(ss_socket_write_bytes(socket, bytes, length));
    CHECK_OK(ss_socket_skip(socket, length));
}

/* A connect listener that keeps the socket and lets it echo; user_data is an int that counts. */
static inline void accept_echo(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    CHECK_OK(ss_retain(socket));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    if (user_data) ++*(int *)user_data;
}

/* Connects a client and returns the server's retained end; *fd is the client's. */
static inline ss_socket *accept_client_with(ss_loop *loop, ss_server *server, int buffer_size, int *fd)
{
    ss_socket *socket = NULL;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    *fd = client_try_connect("127.0.0.1", ss_local_port(server), buffer_size);
    CHECK(*fd >= 0);
    PUMP_UNTIL(loop, socket != NULL);
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false));
    return socket;
}

static inline ss_socket *accept_client(ss_loop *loop, ss_server *server, int *fd)
{
    return accept_client_with(loop, server, 0, fd);
}

/* Sends `size` bytes and checks that the same come back, both at once. */
static inline void client_check_echo(ss_loop *loop, int fd, size_t size)
{
    int64_t end = now_ms() + patience_ms();
    unsigned char *out = new_pattern(size), *in = (unsigned char *)malloc(size);
    size_t sent = 0, got = 0;
    CHECK(in != NULL);
    while (got < size) {
        ssize_t n = sent < size ? send(fd, out + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        ssize_t m;
        CHECK(n >= 0 || is_temporary(errno));
        m = recv(fd, in + got, size - got, MSG_DONTWAIT);
        CHECK(m > 0 || (m < 0 && is_temporary(errno)));
        if (n > 0) sent += (size_t)n;
        if (m > 0) got += (size_t)m;
        if (n > 0 || m > 0) end = now_ms() + patience_ms();
        if (m <= 0) client_wait(loop, fd, sent < size ? POLLIN | POLLOUT : POLLIN, end);
    }
    CHECK(memcmp(out, in, size) == 0);
    free(out);
    free(in);
}

#endif
