/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Peers inside a server's own process, for counting: preloaded, it stands before the server's epoll_wait(). When the server would
 * wait, all peers act, and then the server goes on. So each turn finds what every other run found, and callgrind's count repeats.
 *
 *     LD_PRELOAD=waves.so BENCH_WAVES='echo 64 64 200' valgrind --tool=callgrind --collect-atstart=no SERVER echo
 *
 *     KIND PEERS SIZE WAVES    in each wave each peer sends a message and reads the answer; with connect-echo it closes then,
 *                              and connects anew
 *
 * What the server does between two of its waits is collected, after some waves of warm-up; what the peers do is not. After the last
 * wave SIGTERM ends the process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

#define WARM_UP 8
#define MOST_PEERS 1024
#define MOST_BYTES 65536
#define ARRIVAL_US 2000 /* the kernel has handed over what was sent to the same machine */
#define PATIENCE 1000   /* times that long */

typedef int wait_function(int, struct epoll_event *, int, int);

static char kind[16];
static int peers, size, waves;
static int sockets[MOST_PEERS];
static char message[MOST_BYTES], answer[MOST_BYTES];
static struct sockaddr_in server;
static int wave; /* how many have begun */
static bool collecting;

static void fail(const char *what)
{
    fprintf(stderr, "waves: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void find_server(void)
{
    for (int fd = 3; fd < 64; fd++) {
        int listens = 0;
        socklen_t length = sizeof listens;
        socklen_t address_length = sizeof server;

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens &&
            getsockname(fd, (struct sockaddr *)&server, &address_length) == 0)
            return;
    }
    fail("no socket listens");
}

static void begin(void)
{
    const char *order = getenv("BENCH_WAVES");

    if (order == NULL || sscanf(order, "%15s %d %d %d", kind, &peers, &size, &waves) != 4 || peers > MOST_PEERS || size > MOST_BYTES)
        fail("BENCH_WAVES says KIND PEERS SIZE WAVES");
    memset(message, 'm', (size_t)size);
    find_server();
    for (int i = 0; i < peers; i++)
        sockets[i] = -1;
}

static void send_message(int i)
{
    if (sockets[i] == -1) {
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(sockets[i], (struct sockaddr *)&server, sizeof server) != 0)
            fail("connect");
    }
    if (send(sockets[i], message, (size_t)size, 0) != size)
        fail("send");
}

/* All that was sent is back. */
static bool all_answered(void)
{
    for (int i = 0; i < peers; i++) {
        int there = 0;

        if (sockets[i] != -1 && (ioctl(sockets[i], FIONREAD, &there) != 0 || there < size))
            return false;
    }
    return true;
}

static void read_answer(int i)
{
    if (sockets[i] == -1)
        return;
    if (recv(sockets[i], answer, (size_t)size, 0) != size || memcmp(answer, message, (size_t)size) != 0)
        fail("a wrong answer");
    if (strcmp(kind, "connect-echo") == 0) {
        close(sockets[i]);
        sockets[i] = -1;
    }
}

/* The server has nothing to do: the next wave, if the last one is back. */
static bool act(void)
{
    if (!all_answered())
        return false;
    for (int i = 0; i < peers; i++) {
        read_answer(i);
        send_message(i);
    }
    wave++;
    if (wave == WARM_UP)
        collecting = true;
    if (wave == WARM_UP + waves)
        raise(SIGTERM);
    usleep(ARRIVAL_US);
    return true;
}

static int next_events(int poller, struct epoll_event *events, int most, int timeout)
{
    static wait_function *system_wait;
    int found, idle = 0;

    if (system_wait == NULL) {
        system_wait = (wait_function *)dlsym(RTLD_NEXT, "epoll_wait");
        begin();
    }
    while ((found = system_wait(poller, events, most, 0)) == 0 && timeout != 0) {
        if (act())
            idle = 0;
        else if (++idle == PATIENCE)
            fail("the server waits, and answers are missing");
        else
            usleep(ARRIVAL_US);
    }
    return found;
}

static int conducted(int poller, struct epoll_event *events, int most, int timeout)
{
    int found;

    if (collecting)
        CALLGRIND_TOGGLE_COLLECT;
    found = next_events(poller, events, most, timeout);
    if (collecting)
        CALLGRIND_TOGGLE_COLLECT;
    return found;
}

int epoll_wait(int poller, struct epoll_event *events, int most, int timeout)
{
    return conducted(poller, events, most, timeout);
}

int epoll_pwait(int poller, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    (void)mask;
    return conducted(poller, events, most, timeout);
}
