/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The load: one thread, many connections, every byte that comes back checked. Built with BENCH_TLS it speaks TLS.
 *
 *     load KIND --port N [options]          results as one line of JSON; exit status 1 if a byte was wrong or lost
 *
 *     echo         connections that send messages and get them back; latency is that of each message
 *     connect      connections, one after the other in each slot, that the server closes at once (its mode discard)
 *     connect-echo the same, but one message goes there and back and we close first; latency is a connection's life
 *     stream-in    to a sink: as fast as it takes it. All was read if it closes without resetting the connection
 *     stream-out   from a source: as fast as it comes
 *
 *     --connections N   at the same time (1)
 *     --size BYTES      of a message (64)
 *     --depth N         messages under way on each connection (1)
 *     --idle N          further connections, each silent after one message (0)
 *     --warmup SECONDS  before the measuring begins (0.2)
 *     --seconds S       of measuring (1), or
 *     --resume          of TLS: connections that come back take their session up again
 *     --count N         measure so many messages or connections, after a warm-up of one for each connection
 *     --pid PID         the server: its processor time is measured over the same span
 *     --children        and that of its child processes, those that are there when measuring begins
 *     --windows         measure again and again: print "ready", then at each line of input warm up, measure, print the results
 *     --pause           with --count: print "ready" after the warm-up and wait for a line of input, at the end for another
 */
#define _GNU_SOURCE
#include "load.h"
#include "pattern.h"
#include "transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define EVENTS 1024
/* So many connections are opened before the first message is sent on them; fewer than a server's backlog. */
#define GREETED 256
/* After so many seconds more than it was to take the load is ended by a signal: a server does not answer. */
#define PATIENCE 60

enum kind { ECHO, CONNECT, CONNECT_ECHO, STREAM_IN, STREAM_OUT };

struct connection {
    struct transport transport;
    uint32_t origin;         /* where in the pattern its stream begins: each connection has bytes of its own */
    uint64_t sent, received; /* bytes */
    uint64_t due;            /* bytes that may be sent */
    uint64_t *begun;         /* when each message under way was sent, in a ring; of a connection: when it was begun */
};

static struct {
    enum kind kind;
    int port, pid;
    uint32_t connections, depth, idle;
    uint64_t size, count;
    double warmup, seconds;
    bool pause, windows, children, resume;
} options = {.connections = 1, .depth = 1, .size = 64, .warmup = 0.2, .seconds = 1};

static struct connection *connections; /* the idle ones behind the busy ones */
static int poller;
static uint8_t buffer[PATTERN_PIECE];

static uint64_t left;      /* messages or connections that may still be begun; UINT64_MAX: any number */
static uint64_t under_way; /* messages or connections that were begun and have not ended */
static uint64_t done;      /* those that have */
static uint64_t bytes;     /* of streams */
static uint32_t open_streams;
static bool measuring;

/* ---- Connections ---- */

static void watch(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    transport_may_wait(&connection->transport, false);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->transport.fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

/* Connects from one of 200 addresses in turn, so that ports do not run out. On loopback this does not wait. */
static void connect_to_server(struct connection *connection)
{
    static uint32_t number;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000101 + number % 200)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)options.port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof from) != 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connection %u: %s", number, strerror(errno));
    transport_begin(&connection->transport, fd, options.resume);
    connection->origin = options.kind == STREAM_OUT ? 0 : number * 7919 % PATTERN_PERIOD; /* a source begins at 0 */
    number++;
    connection->sent = connection->received = connection->due = 0;
}

/* Sends what is due, as far as the system takes it. */
static void pump(struct connection *connection)
{
    while (connection->due > 0) {
        size_t length = connection->due < PATTERN_PIECE ? connection->due : PATTERN_PIECE;
        ssize_t sent = transport_send(&connection->transport, pattern_at(connection->origin + connection->sent), length);
        if (sent < 0)
            return;
        connection->sent += (uint64_t)sent;
        connection->due -= (uint64_t)sent;
    }
}

/* Receives and checks. Returns the number of bytes, 0 at the end, -1 when there are none now. */
static ssize_t take(struct connection *connection, bool may_wait)
{
    ssize_t got = transport_receive(&connection->transport, buffer, sizeof buffer, may_wait);

    if (got > 0) {
        if (memcmp(buffer, pattern_at(connection->origin + connection->received), (size_t)got) != 0)
            fail("a wrong byte between %llu and %llu of a connection", (unsigned long long)connection->received,
                 (unsigned long long)connection->received + (unsigned long long)got);
        connection->received += (uint64_t)got;
    }
    return got;
}

/* ---- Echo ---- */

/* Sends as many new messages, or as many as may still be begun. */
static void begin_messages(struct connection *connection, uint64_t number, uint64_t time)
{
    uint64_t first = (connection->sent + connection->due) / options.size;

    if (number > left)
        number = left;
    if (left != UINT64_MAX)
        left -= number;
    under_way += number;
    for (uint64_t i = 0; i < number; i++)
        connection->begun[(first + i) % options.depth] = time;
    connection->due += number * options.size;
    pump(connection);
}

static void echo_ready(struct connection *connection, uint32_t events)
{
    ssize_t got;

    if (events & EPOLLOUT)
        pump(connection);
    do {
        uint64_t before = connection->received / options.size, ended, time;
        got = take(connection, false);
        if (got == 0)
            fail("the server has closed a connection");
        if (got < 0)
            return;
        if (connection->received > connection->sent)
            fail("more came back than was sent");
        ended = connection->received / options.size - before;
        if (ended == 0)
            continue;
        time = now();
        for (uint64_t i = 0; measuring && i < ended; i++)
            record(time - connection->begun[(before + i) % options.depth]);
        done += ended;
        under_way -= ended;
        begin_messages(connection, ended, time);
    } while (got == (ssize_t)sizeof buffer || TRANSPORT_BUFFERS); /* after a short read an edge will tell of more */
}

/* ---- Connections that come and go ---- */

static void begin_connection(struct connection *connection)
{
    if (left == 0)
        return;
    if (left != UINT64_MAX)
        left--;
    under_way++;
    connection->begun[0] = now();
    connect_to_server(connection);
    if (options.kind == CONNECT_ECHO) {
        transport_may_wait(&connection->transport, false);
        connection->due = options.size;
        pump(connection);
    }
    watch(connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void coming_and_going(struct connection *connection)
{
    ssize_t got;

    pump(connection);
    while ((got = take(connection, false)) > 0)
        if (options.kind == CONNECT_ECHO && connection->received == options.size)
            transport_end(&connection->transport); /* and the server closes */
    if (got < 0)
        return;
    if (options.kind == CONNECT_ECHO && connection->received != options.size)
        fail("the server has closed a connection after %llu bytes", (unsigned long long)connection->received);
    transport_close(&connection->transport);
    if (measuring)
        record(now() - connection->begun[0]);
    done++;
    under_way--;
    begin_connection(connection);
}

/* ---- Streams ---- */

static void stream_in_ready(struct connection *connection, uint32_t events)
{
    if (events & EPOLLIN) { /* after our end comes the server's */
        ssize_t got = take(connection, false);
        if (got > 0 || (got == 0 && left != 0))
            fail("the server has closed a stream, or sends on it");
        if (got == 0) {
            transport_close(&connection->transport);
            open_streams--;
            return;
        }
    }
    if (left != 0) {
        uint64_t before = connection->sent;
        connection->due = 4 * PATTERN_PIECE; /* then the other streams have their turn */
        pump(connection);
        connection->due = 0;
        bytes += connection->sent - before;
        done++;
    }
}

static void stream_out_ready(struct connection *connection)
{
    ssize_t got;

    do {
        got = take(connection, false);
        if (got == 0)
            fail("the server has closed a stream");
        bytes += got > 0 ? (uint64_t)got : 0;
        done++;
    } while (got > 0 && TRANSPORT_BUFFERS);
}

/* ---- The course of it ---- */

static void ready(struct connection *connection, uint32_t events)
{
    switch (options.kind) {
    case ECHO: echo_ready(connection, events); break;
    case STREAM_IN: stream_in_ready(connection, events); break;
    case STREAM_OUT: stream_out_ready(connection); break;
    default: coming_and_going(connection);
    }
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, timeout_ms);

    for (int i = 0; i < count; i++)
        ready(events[i].data.ptr, events[i].events);
}

static bool streaming(void)
{
    return options.kind == STREAM_IN || options.kind == STREAM_OUT;
}

static void run_until(uint64_t end)
{
    for (uint64_t time = now(); time < end; time = now())
        turn((int)((end - time) / 1000000) + 1);
}

/* Until all that was begun has ended. */
static void run_out(void)
{
    while (under_way > 0)
        turn(-1);
}

/* Lets every busy connection begin, at most number messages or connections altogether. */
static void begin_all(uint64_t number)
{
    left = number;
    for (uint32_t i = 0; i < options.connections; i++) {
        if (options.kind == ECHO)
            begin_messages(&connections[i], options.depth, now());
        else if (!streaming())
            begin_connection(&connections[i]);
    }
}

/* One message there and back on each: the server has accepted them then, and each has been in use. */
static void greet(struct connection *first, uint32_t number)
{
    for (uint32_t i = 0; i < number; i++) {
        first[i].due = options.size;
        pump(&first[i]);
    }
    for (uint32_t i = 0; i < number; i++)
        while (first[i].received < options.size) {
            pump(&first[i]);
            if (take(&first[i], true) == 0)
                fail("the server has closed a connection");
        }
}

static void open_connections(void)
{
    uint32_t number = options.connections + options.idle;

    connections = calloc(number, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || poller < 0)
        fail("out of memory or descriptors");
    for (uint32_t i = 0; i < options.connections; i++)
        connections[i].begun = calloc(options.depth, sizeof(uint64_t));
    if (options.kind == CONNECT || options.kind == CONNECT_ECHO)
        return;
    for (uint32_t i = 0; i < number; i++) {
        connect_to_server(&connections[i]);
        if (!streaming() && ((i + 1) % GREETED == 0 || i + 1 == number))
            greet(&connections[i / GREETED * GREETED], i % GREETED + 1);
    }
    for (uint32_t i = 0; i < number; i++)
        watch(&connections[i], options.kind == STREAM_IN    ? EPOLLIN | EPOLLOUT
                               : options.kind == STREAM_OUT ? EPOLLIN
                                                            : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    for (uint32_t i = 0; options.kind == STREAM_OUT && i < number; i++)
        stream_out_ready(&connections[i]); /* which begins a handshake */
    open_streams = streaming() ? number : 0;
}

static void end_streams(void)
{
    left = 0;
    if (options.kind == STREAM_OUT)
        return; /* our exit ends them */
    for (uint32_t i = 0; i < options.connections; i++)
        transport_end(&connections[i].transport);
    while (open_streams > 0)
        turn(-1);
}

/* The end of the input instead of a line ends the load: nobody wants it to go on. */
static void wait_for_a_line(const char *say)
{
    printf("%s\n", say);
    fflush(stdout);
    for (int c = getchar(); c != '\n'; c = getchar())
        if (c == EOF)
            exit(0);
}

static void parse(int argc, char **argv)
{
    static const char *const kinds[] = {"echo", "connect", "connect-echo", "stream-in", "stream-out"};
    bool known = false;

    for (int i = 0; argc > 1 && i < 5; i++)
        if (strcmp(argv[1], kinds[i]) == 0) {
            options.kind = (enum kind)i;
            known = true;
        }
    for (int i = 2; known && i < argc; i++) {
        const char *name = argv[i];
        double value;
        bool *flag = strcmp(name, "--pause") == 0 ? &options.pause
                     : strcmp(name, "--windows") == 0 ? &options.windows
                     : strcmp(name, "--children") == 0 ? &options.children
                     : strcmp(name, "--resume") == 0 ? &options.resume : NULL;
        if (flag != NULL) {
            *flag = true;
            continue;
        }
        value = i + 1 < argc ? atof(argv[++i]) : -1;
        if (strcmp(name, "--port") == 0) options.port = (int)value;
        else if (strcmp(name, "--pid") == 0) options.pid = (int)value;
        else if (strcmp(name, "--connections") == 0) options.connections = (uint32_t)value;
        else if (strcmp(name, "--size") == 0) options.size = (uint64_t)value;
        else if (strcmp(name, "--depth") == 0) options.depth = (uint32_t)value;
        else if (strcmp(name, "--idle") == 0) options.idle = (uint32_t)value;
        else if (strcmp(name, "--warmup") == 0) options.warmup = value;
        else if (strcmp(name, "--seconds") == 0) options.seconds = value;
        else if (strcmp(name, "--count") == 0) options.count = (uint64_t)value;
        else known = false;
        known = known && value >= 0;
    }
    if (!known || options.port == 0 || options.size == 0 || options.depth == 0)
        fail("usage: load echo|connect|connect-echo|stream-in|stream-out --port N ...; see load.c");
    if (streaming() && options.count > 0)
        fail("a stream has no --count");
}

/* Lets everything run that the options say, for a while or up to a count, and measures; prints the results. */
static void measure(void)
{
    uint64_t start = now(), processor = server_time(options.pid, options.children), before = done, bytes_before = bytes;
    double seconds;

    memset(histogram, 0, sizeof histogram);
    measuring = true;
    if (options.count > 0) {
        begin_all(options.count);
        run_out();
    } else
        run_until(start + (uint64_t)(options.seconds * 1e9));
    processor = server_time(options.pid, options.children) - processor;
    seconds = (double)(now() - start) / 1e9;
    measuring = false;
    before = done - before;
    bytes_before = streaming() ? bytes - bytes_before : before * options.size;

    left = 0;
    run_out();
    printf("{\"done\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"cpu_ns\": %llu, \"p50\": %.2f, \"p99\": %.2f, "
           "\"p999\": %.2f}\n",
           (unsigned long long)before, (unsigned long long)bytes_before, seconds, (unsigned long long)processor,
           percentile_us(0.5), percentile_us(0.99), percentile_us(0.999));
    fflush(stdout);
}

static void warm_up(void)
{
    begin_all(UINT64_MAX);
    run_until(now() + (uint64_t)(options.warmup * 1e9));
}

/* The connections stay; between two windows the server comes to rest. */
static void measure_in_windows(void)
{
    wait_for_a_line("ready");
    for (int c = '\n'; c != EOF; c = getchar())
        if (c == '\n') {
            alarm(PATIENCE);
            warm_up();
            measure();
        }
}

int main(int argc, char **argv)
{
    struct rlimit limit;

    parse(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    pattern_fill();
    transport_prepare();
    alarm(PATIENCE + (unsigned)(options.warmup + options.seconds));
    open_connections();

    if (options.windows)
        measure_in_windows();
    else if (options.count > 0) {
        begin_all(options.connections);
        run_out();
        if (options.pause)
            wait_for_a_line("ready");
        measure();
        if (options.pause)
            wait_for_a_line("done");
    } else {
        warm_up();
        measure();
    }
    if (streaming())
        end_streams();
    return 0;
}
