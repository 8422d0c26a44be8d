/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs share that run both ends of their connections themselves: an echo server on a loop of ours, and plain
 * sockets as its peers. */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <server_socket.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 64

static inline void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s, %s\n", what, strerror(errno), ss_last_error_detail());
    exit(1);
}

static inline double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline void own_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length;
    const uint8_t *bytes = ss_socket_peek(socket, &length);

    (void)user_data;
    check(ss_socket_write_bytes(socket, bytes, length) == SS_OK, "write");
    ss_socket_skip(socket, length);
}

static inline void own_close(ss_event *event, void *closed)
{
    ++*(unsigned *)closed;
    ss_release(ss_event_target(event));
}

/* Keeps an accepted socket, as an echo. *closed is counted up when it ends. */
static inline void own_keep(ss_socket *socket, unsigned *closed)
{
    ss_retain(socket);
    ss_add_listener(socket, SS_EVENT_SOCKET_DATA, own_data, NULL, false, 0);
    ss_add_listener(socket, SS_EVENT_CLOSE, own_close, closed, false, 0);
}

static inline ss_server *own_server(ss_loop *loop, ss_listener on_connect, void *user_data)
{
    ss_server *server = ss_new(loop);

    check(server != NULL && ss_add_listener(server, SS_EVENT_CONNECT, on_connect, user_data, false, 0) == SS_OK &&
              ss_bind(server, 0, "127.0.0.1") == SS_OK && ss_listen(server, 0) == SS_OK,
          "listen");
    return server;
}

/* receive: the size of the receive buffer, 0 for the system's. On loopback this does not wait. */
static inline int own_peer(int port, int receive)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    to.sin_port = htons((uint16_t)port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

#endif
