/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An echo server that a service manager starts when the first client comes (socket activation): the listening socket
 * is there already, as descriptor 3, and the environment says so. No library of systemd's is needed.
 *
 *     systemd-socket-activate -l 127.0.0.1:7000 build/systemd_echo      then:  nc 127.0.0.1 7000
 *
 * Started by hand it listens on port 7000, or on the one given.
 */
#define _XOPEN_SOURCE 600
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_DESCRIPTOR 3

static int fail(const char *what)
{
    fprintf(stderr, "systemd_echo: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

#define MOST_PENDING 1000000 /* unsent bytes of one connection */

static void echo(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length = 0;
    const uint8_t *bytes = ss_socket_take(socket, &length);

    (void)user_data;
    if (ss_socket_write_bytes(socket, bytes, length) != SS_OK)
        ss_socket_abort(socket);
    else if (ss_socket_bytes_pending(socket) > MOST_PENDING)
        ss_socket_pause(socket); /* who does not read is not read from, until outputProgress brings us back */
    else
        ss_socket_resume(socket);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, NULL, false, 0) == SS_OK &&
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, NULL, false, 0) == SS_OK)
        ss_socket_keep(socket); /* until its connection ends; else it is closed when this returns */
}

/* How many sockets were handed to this process; the variables are meant for it only if LISTEN_PID says so. */
static int handed_over(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    return pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid() ? atoi(count) : 0;
}

int main(int argc, char **argv)
{
    ss_server *server = ss_new(NULL);

    if (server == NULL || ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK)
        return fail("cannot start");
    if (handed_over() > 0) {
        if (ss_adopt(server, FIRST_DESCRIPTOR, true) != SS_OK)
            return fail("cannot take the socket over");
    } else if (ss_bind(server, argc > 1 ? atoi(argv[1]) : 7000, "127.0.0.1") != SS_OK ||
               ss_listen(server, 0) != SS_OK) {
        return fail("cannot listen");
    }
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    if (ss_loop_run(NULL) != SS_OK)
        return fail("cannot go on");
    ss_release(server);
    return EXIT_SUCCESS;
}
