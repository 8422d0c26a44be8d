/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The reference line: epoll by hand, edge-triggered, one thread, and no call that is not needed.
 *
 * One receive buffer for all connections. A connection is registered once, for both directions. After a short read there
 * is nothing left to read, unless the event said that the peer has ended. What is read is sent at once; only what the
 * system refuses is copied, and until that has gone nothing more is read from that peer.
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 1024

struct connection {
    uint8_t *rest; /* what the system has not taken yet; NULL while there is none */
    uint32_t start, end;
    bool ended; /* the peer has sent its last byte, as far as the poller knows */
};

static struct connection *connections; /* by descriptor */
static uint8_t buffer[READ_SIZE];
static enum mode mode;
static int poller, listener;

static void hang_up(int fd)
{
    struct connection *connection = &connections[fd];

    free(connection->rest);
    *connection = (struct connection){0};
    close(fd);
}

/* Sends the rest. False: the connection is gone, or there still is one. */
static bool drain(int fd)
{
    struct connection *connection = &connections[fd];

    while (connection->start < connection->end) {
        ssize_t sent = send(fd, connection->rest + connection->start, connection->end - connection->start, 0);
        if (sent < 0) {
            if (errno != EAGAIN)
                hang_up(fd);
            return false;
        }
        connection->start += (uint32_t)sent;
    }
    free(connection->rest);
    connection->rest = NULL;
    return true;
}

/* Sends bytes, and keeps what does not go. False: the connection is gone, or has a rest now. */
static bool answer(int fd, const uint8_t *bytes, size_t length)
{
    struct connection *connection = &connections[fd];
    ssize_t sent = send(fd, bytes, length, 0);

    if (sent == (ssize_t)length)
        return true;
    if (sent < 0) {
        if (errno != EAGAIN) {
            hang_up(fd);
            return false;
        }
        sent = 0;
    }
    connection->start = 0;
    connection->end = (uint32_t)(length - (size_t)sent);
    connection->rest = malloc(connection->end);
    if (connection->rest == NULL)
        peer_failed("epoll", "out of memory");
    memcpy(connection->rest, bytes + sent, connection->end);
    return false; /* an edge comes when there is room again */
}

static void receive(int fd)
{
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            hang_up(fd);
            return;
        }
        if (got < 0 || (mode == MODE_ECHO && !answer(fd, buffer, (size_t)got)))
            return;
        if (got < (ssize_t)sizeof buffer && !connections[fd].ended)
            return;
    }
}

/* The pattern from the start of a chunk on: a source's only state is what is left of one. */
static void emit(int fd)
{
    struct connection *connection = &connections[fd];

    for (int i = 0; i < BURST; i++) {
        ssize_t sent = send(fd, pattern + connection->start, CHUNK, 0);
        if (sent < 0) {
            if (errno != EAGAIN)
                hang_up(fd);
            return;
        }
        connection->start = (connection->start + (uint32_t)sent) % PATTERN_PERIOD;
        if (sent < CHUNK)
            return;
    }
}

static void serve(int fd, uint32_t events)
{
    struct connection *connection = &connections[fd];

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->ended = true;
    if (mode == MODE_SOURCE && !connection->ended) {
        emit(fd);
        return;
    }
    if (connection->rest != NULL) {
        if (!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) || !drain(fd))
            return;
        events |= EPOLLIN; /* nothing was read while there was a rest */
    }
    if (events & EPOLLIN || connection->ended)
        receive(fd);
}

static void accept_all(void)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        if (mode == MODE_SOURCE)
            event.events = EPOLLOUT | EPOLLRDHUP; /* by level: emit stops before the system does */
        if (mode == MODE_DISCARD)
            close(fd);
        else if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
            peer_failed("epoll_ctl", strerror(errno));
    }
    if (errno != EAGAIN)
        perror("accept4");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN | EPOLLET}};
    struct rlimit limit;
    int port, one = 1;

    mode = peer_begin(argc, argv, &port);
    address.sin_port = htons((uint16_t)port);
    getrlimit(RLIMIT_NOFILE, &limit);
    connections = calloc(limit.rlim_cur, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    events[0].data.fd = listener;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
    if (connections == NULL || poller < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, BACKLOG) != 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &events[0]) != 0)
        peer_failed("epoll", strerror(errno));
    getsockname(listener, (struct sockaddr *)&address, &length);
    peer_listens(ntohs(address.sin_port));

    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all();
            else
                serve(events[i].data.fd, events[i].events);
        }
    }
}
