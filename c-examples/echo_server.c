/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An echo server: what a client sends comes back, byte for byte.
 *
 *     build/echo_server [port; 0 = any, default 7000]       then:  nc 127.0.0.1 7000
 */
#define _XOPEN_SOURCE 600 /* for getrlimit and setrlimit */
#include <limits.h>
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

#define MOST_PENDING 1000000 /* unsent bytes of one connection */

static int fail(const char *what)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

/* Bytes came in, or waiting output went out: send back what is unread. */
static void echo(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length = 0;
    const uint8_t *bytes = ss_socket_take(socket, &length); /* in place: nothing is copied */

    (void)user_data;
    if (ss_socket_write_bytes(socket, bytes, length) != SS_OK) {
        fail("echo");
        ss_socket_abort(socket);
    } else if (ss_socket_bytes_pending(socket) > MOST_PENDING) {
        /* This client sends but does not read: it has to wait. When it reads on, outputProgress brings us back here. */
        ss_socket_pause(socket);
    } else {
        ss_socket_resume(socket);
    }
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event); /* borrowed: not kept, it closes on return */

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, NULL, false, 0) != SS_OK ||
        ss_socket_keep(socket) != SS_OK) /* until its connection ends */
        fail("connect");
}

/* Every connection takes a descriptor, and the usual limit is low: raise it as far as allowed. */
static void raise_descriptor_limit(void)
{
#ifndef _WIN32 /* which has no such limit */
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
#ifdef OPEN_MAX /* macOS refuses more than this */
    limit.rlim_cur = limit.rlim_cur < OPEN_MAX ? limit.rlim_cur : OPEN_MAX;
#endif
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        perror("echo_server: the descriptor limit stays as it was");
#endif
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 7000;
    ss_server *server = ss_new(NULL); /* NULL: on the loop that every thread has */

    raise_descriptor_limit();
    if (server == NULL ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return fail("cannot start");
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);

    if (ss_loop_run(NULL) != SS_OK) /* serves until the process is ended */
        return fail("cannot go on");
    ss_release(server);
    return EXIT_SUCCESS;
}
