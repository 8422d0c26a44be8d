/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A host with a loop of its own, around poll(2): the library is one descriptor and one timeout among others.
 *
 *     build/poll_host [port; 0 = any, default 7000]      "quit" or the end of input ends it
 */
#define _XOPEN_SOURCE 600
#include <poll.h>
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The host's own business: whether to go on. */
static int input_says_quit(void)
{
    char line[256];
    ssize_t length = read(STDIN_FILENO, line, sizeof line - 1);

    if (length <= 0)
        return 1;
    line[length] = '\0';
    return strncmp(line, "quit", 4) == 0;
}

int main(int argc, char **argv)
{
    ss_loop *loop = ss_loop_new();
    ss_server *server = ss_new(loop);
    struct pollfd waits[2];
    int64_t fd = -1;
    int status = EXIT_SUCCESS;

    if (server == NULL || ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, argc > 1 ? atoi(argv[1]) : 7000, "127.0.0.1") != SS_OK ||
        ss_listen(server, 0) != SS_OK || ss_loop_fd(loop, &fd) != SS_OK) {
        fprintf(stderr, "poll_host: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);

    for (;;) {
        waits[0].fd = (int)fd; /* readable whenever the library has work */
        waits[1].fd = STDIN_FILENO;
        waits[0].events = waits[1].events = POLLIN;
        waits[0].revents = waits[1].revents = 0;
        if (poll(waits, 2, ss_loop_timeout(loop)) < 0) {
            perror("poll_host");
            status = EXIT_FAILURE;
            break;
        }
        if (ss_loop_poll(loop, 0, NULL) != SS_OK) { /* also when only the time is up */
            fprintf(stderr, "poll_host: %s\n", ss_last_error_detail());
            status = EXIT_FAILURE;
            break;
        }
        if (waits[1].revents != 0 && input_says_quit())
            break;
    }
    ss_release(server);
    ss_release(loop); /* closes what is still open */
    return status;
}
