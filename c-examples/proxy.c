/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A proxy: what a client says goes to another server, and what that answers comes back, each way at the pace of who reads.
 *
 *     build/proxy PORT HOST HOST_PORT
 *
 * Each side's end is passed on behind all that came before it, and the other way goes on: an answer that comes when the question
 * has ended gets through. A reset is passed on as a reset.
 */
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>

enum { MUCH = 256 * 1024 };

static struct { const char *host; int port; } target;

/* Each end of a pair has the other's handle for its word. A handle that is over is answered with an error, and nothing happens. */
static ss_socket *other(ss_event *event)
{
    return ss_user_data(ss_event_target(event));
}

static void give_up(ss_socket *socket)
{
    ss_socket_abort(socket);
    ss_release(socket);
}

static void pass_on(ss_event *event, void *user_data)
{
    ss_socket *from = ss_event_target(event), *to = other(event);
    size_t length;
    const uint8_t *bytes = ss_socket_take(from, &length);

    (void)user_data;
    if (ss_socket_write_bytes(to, bytes, length) != SS_OK) {
        give_up(to);
        give_up(from);
    } else if (ss_socket_bytes_pending(to) >= MUCH) {
        ss_socket_pause(from); /* until what is written has left */
    }
}

/* The server is reached, or what was written has left, most of it. */
static void read_on(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_event_bytes_pending(event) < MUCH / 2)
        ss_socket_resume(other(event));
}

static void pass_end_on(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_socket_shutdown(other(event));
}

/* Both ways have ended, or the connection is broken: that is the other's end, too. */
static void on_close(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_event_os_error(event) != 0)
        give_up(other(event));
    ss_release(ss_event_target(event));
}

/* An attempt that has failed has no address. No close event follows. */
static void on_error(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_socket_remote_address(ss_event_target(event)) == NULL) {
        fprintf(stderr, "%s:%d: error %d\n", target.host, target.port, (int)ss_event_os_error(event));
        give_up(other(event));
        ss_release(ss_event_target(event));
    }
}

static bool join(ss_socket *from, ss_socket *to)
{
    return ss_set_option(from, SS_OPT_HALF_OPEN, 1) == SS_OK && ss_set_user_data(from, to, NULL) == SS_OK &&
           ss_add_listener(from, SS_EVENT_SOCKET_DATA, pass_on, NULL, false, 0) == SS_OK &&
           ss_add_listener(from, SS_EVENT_OUTPUT_PROGRESS, read_on, NULL, false, 0) == SS_OK &&
           ss_add_listener(from, SS_EVENT_END, pass_end_on, NULL, false, 0) == SS_OK &&
           ss_add_listener(from, SS_EVENT_CLOSE, on_close, NULL, false, 0) == SS_OK;
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *client = ss_event_socket(event), *server = ss_socket_new(NULL);

    (void)user_data;
    if (!join(client, server) || !join(server, client) ||
        ss_add_listener(server, SS_EVENT_CONNECT, read_on, NULL, false, 0) != SS_OK ||
        ss_add_listener(server, SS_EVENT_IO_ERROR, on_error, NULL, false, 0) != SS_OK ||
        ss_socket_connect(server, target.host, target.port) != SS_OK || ss_socket_pause(client) != SS_OK) {
        fprintf(stderr, "proxy: %s\n", ss_last_error_detail());
        ss_release(server); /* and the client, whom nobody has retained, is turned away */
    } else {
        ss_retain(client);
    }
}

int main(int argc, char **argv)
{
    ss_server *server = ss_new(NULL);

    if (argc != 4) {
        fprintf(stderr, "usage: proxy PORT HOST HOST_PORT\n");
        return EXIT_FAILURE;
    }
    target.host = argv[2];
    target.port = atoi(argv[3]);
    if (ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, atoi(argv[1]), "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK) {
        fprintf(stderr, "proxy: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    return ss_loop_run(NULL) == SS_OK ? EXIT_SUCCESS : EXIT_FAILURE; /* until the process is ended */
}
