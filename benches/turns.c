/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What one turn of our loop costs, which serves one message, when there are many sockets that it does not serve.
 *
 *     turns idle|pending|timeouts|expiring N
 *
 * idle: N silent connections. pending: each of them has output that its peer does not take. timeouts: each of them has an
 * idle timeout. Prints {"p50": ns, "p99": ns, "most": ns} of a turn. The message that it serves is there when it begins.
 *
 * expiring: N idle timeouts run out, about all at once. Prints {"each": ns, "most": ns}: processor time for each of them,
 * its two events and the closing of its socket included, and the longest turn.
 */
#define _GNU_SOURCE
#include "own.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define TURNS 5000
#define WAITING (16 * 1024) /* bytes written to each socket with pending output: more than the small buffers take */
#define LIFE_MS 3000        /* of what expires: connecting must take less */

static enum { IDLE, PENDING, TIMEOUTS, EXPIRING } mode;
static unsigned accepted, closed, pending;

static void on_connect(ss_event *event, void *user_data)
{
    static const uint8_t bytes[WAITING];
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    own_keep(socket, &closed);
    accepted++;
    if (mode == PENDING) {
        int64_t fd;
        int size = 4096;
        ss_native_handle(socket, &fd);
        setsockopt((int)fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        ss_socket_write_bytes(socket, bytes, sizeof bytes);
        ss_socket_flush(socket);
        pending += ss_socket_bytes_pending(socket) > 0;
    }
}

/* The peers live in a process of their own: a process has not descriptors enough for both ends. */
static pid_t start_peers(int port, unsigned number)
{
    int ends[2];
    char byte;
    pid_t child;

    check(pipe(ends) == 0 && (child = fork()) >= 0, "fork");
    if (child == 0) {
        close(ends[1]);
        for (unsigned i = 0; i < number; i++)
            own_peer(port, mode == PENDING ? 4096 : 0);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1); /* when the parent ends, so does this */
    }
    close(ends[0]); /* the other end stays open for the life of this process */
    return child;
}

static int ascending(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;

    return (difference > 0) - (difference < 0);
}

static double processor(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void expire(ss_loop *loop, unsigned number)
{
    double before = processor(), most = 0;

    while (closed < number) {
        double start, time;
        usleep((useconds_t)ss_loop_timeout(loop) * 1000); /* here, so that waiting is no part of a turn */
        start = now();
        check(ss_loop_poll(loop, 0, NULL) == SS_OK, "poll");
        time = now() - start;
        most = time > most ? time : most;
    }
    printf("{\"each\": %.1f, \"most\": %.0f}\n", (processor() - before) / number, most);
}

static void serve(ss_loop *loop, int peer)
{
    static double times[TURNS];
    char message[MESSAGE] = "a message";

    for (int i = -TURNS / 10; i < TURNS; i++) {
        uint32_t events = 0;
        double start;
        check(send(peer, message, MESSAGE, 0) == MESSAGE, "send");
        start = now();
        check(ss_loop_poll(loop, 0, &events) == SS_OK && events == 1, "a turn with one event");
        if (i >= 0)
            times[i] = now() - start;
        check(recv(peer, message, MESSAGE, MSG_WAITALL) == MESSAGE, "recv");
    }
    qsort(times, TURNS, sizeof *times, ascending);
    printf("{\"p50\": %.0f, \"p99\": %.0f, \"most\": %.0f}\n", times[TURNS / 2], times[TURNS * 99 / 100],
           times[TURNS - 1]);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"idle", "pending", "timeouts", "expiring"};
    struct rlimit limit;
    unsigned number = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    ss_loop *loop = ss_loop_default();
    ss_server *server;
    pid_t peers;
    int peer = -1, port;

    for (unsigned i = 0; argc > 1 && i < 4; i++)
        if (strcmp(argv[1], names[i]) == 0)
            mode = i;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    server = own_server(loop, on_connect, NULL);
    port = ss_local_port(server);
    if (mode == TIMEOUTS || mode == EXPIRING)
        check(ss_set_option(server, SS_OPT_IDLE_TIMEOUT, mode == TIMEOUTS ? 600000 : LIFE_MS) == SS_OK, "option");
    peers = start_peers(port, number);
    while (accepted < number)
        check(ss_loop_poll(loop, 1000, NULL) == SS_OK, "accept");
    if (mode == EXPIRING) {
        check(closed == 0, "connecting took too long");
        expire(loop, number);
    } else {
        for (int i = 0; i < 10; i++)
            ss_loop_poll(loop, 10, NULL);
        check(mode != PENDING || pending == number, "every socket has pending output");
        mode = IDLE; /* the one that is served */
        peer = own_peer(port, 0);
        while (accepted == number)
            check(ss_loop_poll(loop, 1000, NULL) == SS_OK, "accept");
        serve(loop, peer);
    }
    kill(peers, SIGTERM);
    waitpid(peers, NULL, 0);
    return 0;
}
