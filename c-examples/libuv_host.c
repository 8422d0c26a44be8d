/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The library in libuv's loop: a poll handle for its descriptor, a timer for its timeout, and a prepare handle that
 * sets the timer before each wait.
 *
 *     build/libuv_host [port; 0 = any, default 7000]      SIGTERM or SIGINT ends it
 */
#include <server_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define MOST_PENDING 1000000 /* unsent bytes of one connection */

static ss_loop *loop;
static uv_poll_t readable;
static uv_timer_t timeout, own_timer;
static uv_prepare_t before_wait;
static uv_signal_t terminate, interrupt;
static unsigned ticks;

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

static void work(void)
{
    if (ss_loop_poll(loop, 0, NULL) != SS_OK)
        fprintf(stderr, "libuv_host: %s\n", ss_last_error_detail());
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)status;
    (void)events;
    work();
}

static void on_timeout(uv_timer_t *handle)
{
    (void)handle;
    work();
}

static void on_prepare(uv_prepare_t *handle)
{
    int32_t wait = ss_loop_timeout(loop);

    (void)handle;
    if (wait < 0)
        uv_timer_stop(&timeout);
    else
        uv_timer_start(&timeout, on_timeout, (uint64_t)wait, 0);
}

static void on_tick(uv_timer_t *handle)
{
    (void)handle;
    ++ticks; /* the host's own timer goes on */
}

static void close_handle(uv_handle_t *handle, void *user_data)
{
    (void)user_data;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_walk(handle->loop, close_handle, NULL); /* uv_run returns when all are closed */
}

int main(int argc, char **argv)
{
    uv_loop_t *host = uv_default_loop();
    ss_server *server;
    int64_t fd = -1;

    loop = ss_loop_new();
    server = ss_new(loop);
    if (server == NULL || ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, argc > 1 ? atoi(argv[1]) : 7000, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK ||
        ss_loop_fd(loop, &fd) != SS_OK) {
        fprintf(stderr, "libuv_host: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    if (uv_poll_init(host, &readable, (int)fd) != 0 || uv_poll_start(&readable, UV_READABLE, on_readable) != 0 ||
        uv_timer_init(host, &timeout) != 0 || uv_timer_init(host, &own_timer) != 0 ||
        uv_timer_start(&own_timer, on_tick, 20, 20) != 0 || uv_prepare_init(host, &before_wait) != 0 ||
        uv_prepare_start(&before_wait, on_prepare) != 0 || uv_signal_init(host, &terminate) != 0 ||
        uv_signal_start(&terminate, on_signal, SIGTERM) != 0 || uv_signal_init(host, &interrupt) != 0 ||
        uv_signal_start(&interrupt, on_signal, SIGINT) != 0) {
        fprintf(stderr, "libuv_host: libuv refuses\n");
        return EXIT_FAILURE;
    }
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    uv_run(host, UV_RUN_DEFAULT);

    printf("%u ticks\n", ticks);
    ss_release(server);
    ss_release(loop);
    return uv_loop_close(host) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
