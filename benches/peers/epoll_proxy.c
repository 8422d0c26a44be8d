/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The reference line for proxies: epoll by hand, edge-triggered, one thread, one receive buffer for all.
 *
 *     epoll_proxy PORT HOST HOST_PORT       HOST in digits
 *
 * What is read from one side is sent to the other at once; only what the system refuses is copied, and until that has gone
 * nothing more is read from there. An end is passed on behind all that came before it, a reset as a reset.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 1024
#define READ_SIZE (256 * 1024)
#define BACKLOG 4096

struct end {
    struct end *other;
    uint8_t *rest; /* what the system has not taken for this side yet */
    size_t start, length;
    int fd;
    bool may_write; /* it is connected */
    bool has_more;  /* there may be unread bytes: an edge came while its other side was full */
    bool ends;      /* its peer's end has come, as the poller says: a short read is not the last one */
    bool has_ended; /* it was read */
    bool was_told;  /* that the other one has ended */
    bool is_over;   /* both are closed; freed when the events at hand are done */
};

static uint8_t buffer[READ_SIZE];
static struct sockaddr_in target;
static struct end *garbage[2 * EVENTS + 2];
static size_t garbage_count;
static int poller;

static void failed(const char *what)
{
    perror(what);
    exit(1);
}

static void close_both(struct end *end, bool by_reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct end *both[2] = {end, end->other};

    if (end->is_over)
        return;
    for (int i = 0; i < 2; i++) {
        if (by_reset)
            setsockopt(both[i]->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(both[i]->fd);
        free(both[i]->rest);
        both[i]->is_over = true;
        garbage[garbage_count++] = both[i];
    }
}

/* Passes the other side's end on, when all before it has gone. */
static void end_if_due(struct end *end)
{
    if (!end->other->has_ended || end->length > 0 || !end->may_write)
        return;
    if (!end->was_told) {
        shutdown(end->fd, SHUT_WR);
        end->was_told = true;
    }
    if (end->has_ended && end->other->was_told)
        close_both(end, false);
}

/* Sends bytes to a side, and keeps what does not go. False: the pair is gone. */
static bool give(struct end *to, const uint8_t *bytes, size_t length)
{
    ssize_t sent = to->may_write ? send(to->fd, bytes, length, MSG_NOSIGNAL) : 0;

    if (sent == (ssize_t)length)
        return true;
    if (sent < 0 && errno != EAGAIN) {
        close_both(to, true);
        return false;
    }
    sent = sent < 0 ? 0 : sent;
    to->start = 0;
    to->length = length - (size_t)sent;
    to->rest = malloc(to->length);
    if (to->rest == NULL)
        failed("epoll_proxy");
    memcpy(to->rest, bytes + sent, to->length);
    return true;
}

static void pass_on(struct end *from)
{
    struct end *to = from->other;

    while (from->has_more && to->length == 0 && to->may_write) {
        ssize_t got = recv(from->fd, buffer, sizeof buffer, 0);

        if (got < 0 && errno == EAGAIN) {
            from->has_more = false;
        } else if (got < 0) {
            close_both(from, true);
            return;
        } else if (got == 0) {
            from->has_ended = true;
            from->has_more = false;
            end_if_due(to);
            return;
        } else {
            if (!give(to, buffer, (size_t)got))
                return;
            if ((size_t)got < sizeof buffer && !from->ends)
                from->has_more = false; /* an edge will tell of more */
        }
    }
}

/* There is room again: the rest goes, and what the other side has sent meanwhile. */
static void drain(struct end *end)
{
    end->may_write = true;
    while (end->length > 0) {
        ssize_t sent = send(end->fd, end->rest + end->start, end->length, MSG_NOSIGNAL);

        if (sent < 0) {
            if (errno != EAGAIN)
                close_both(end, true);
            return;
        }
        end->start += (size_t)sent;
        end->length -= (size_t)sent;
    }
    free(end->rest);
    end->rest = NULL;
    pass_on(end->other);
    if (!end->is_over)
        end_if_due(end);
}

static void ready(struct end *end, uint32_t events)
{
    if (end->is_over)
        return;
    if (events & EPOLLERR) {
        close_both(end, true);
        return;
    }
    if (events & EPOLLOUT)
        drain(end);
    if (!end->is_over && events & (EPOLLIN | EPOLLRDHUP) && !end->has_ended) {
        end->has_more = true;
        end->ends = end->ends || events & EPOLLRDHUP;
        pass_on(end);
    }
}

static void watch(struct end *end)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};

    if (epoll_ctl(poller, EPOLL_CTL_ADD, end->fd, &event) != 0)
        failed("epoll_ctl");
}

static void accept_all(int listener)
{
    int one = 1;

    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct end *client, *server;

        if (fd < 0)
            return;
        client = calloc(1, sizeof *client);
        server = calloc(1, sizeof *server);
        if (client == NULL || server == NULL)
            failed("epoll_proxy");
        client->fd = fd;
        client->other = server;
        server->other = client;
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (server->fd < 0 || (connect(server->fd, (struct sockaddr *)&target, sizeof target) != 0 && errno != EINPROGRESS))
            failed("connect");
        watch(client);
        watch(server);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    struct rlimit limit;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    if (argc != 4 || inet_pton(AF_INET, argv[2], &target.sin_addr) != 1)
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)atoi(argv[3]));
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, BACKLOG) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        failed("listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else
                ready(events[i].data.ptr, events[i].events);
        }
        while (garbage_count > 0)
            free(garbage[--garbage_count]);
    }
}
