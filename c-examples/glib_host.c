/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The library in GLib's main loop, as a source of its own: what a GTK program would do.
 *
 *     build/glib_host [port; 0 = any, default 7000]      SIGTERM or SIGINT ends it
 */
#include <glib-unix.h>
#include <glib.h>
#include <server_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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

/* ---- The source: a descriptor, and the time until the library has something to do by itself. ---- */

typedef struct {
    GSource source;
    ss_loop *loop;
    gpointer tag;
} pump;

static gboolean pump_prepare(GSource *source, gint *timeout)
{
    *timeout = ss_loop_timeout(((pump *)source)->loop);
    return *timeout == 0;
}

static gboolean pump_check(GSource *source)
{
    pump *self = (pump *)source;

    return g_source_query_unix_fd(source, self->tag) != 0 || ss_loop_timeout(self->loop) == 0;
}

static gboolean pump_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    (void)callback;
    (void)user_data;
    if (ss_loop_poll(((pump *)source)->loop, 0, NULL) == SS_OK)
        return G_SOURCE_CONTINUE;
    g_printerr("glib_host: %s\n", ss_last_error_detail());
    return G_SOURCE_REMOVE;
}

static GSource *pump_new(ss_loop *loop)
{
    static GSourceFuncs functions = {pump_prepare, pump_check, pump_dispatch, NULL, NULL, NULL};
    GSource *source;
    int64_t fd;

    if (ss_loop_fd(loop, &fd) != SS_OK)
        return NULL;
    source = g_source_new(&functions, sizeof(pump));
    ((pump *)source)->loop = loop;
    ((pump *)source)->tag = g_source_add_unix_fd(source, (gint)fd, G_IO_IN);
    return source;
}

/* ---- The host ---- */

static gboolean on_signal(gpointer main_loop)
{
    g_main_loop_quit(main_loop);
    return G_SOURCE_CONTINUE;
}

static gboolean tick(gpointer ticks)
{
    ++*(unsigned *)ticks; /* the host's own timer goes on */
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    GMainLoop *main_loop = g_main_loop_new(NULL, FALSE);
    ss_loop *loop = ss_loop_new();
    ss_server *server = ss_new(loop);
    GSource *source = pump_new(loop);
    unsigned ticks = 0;

    if (server == NULL || source == NULL ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, argc > 1 ? atoi(argv[1]) : 7000, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK) {
        g_printerr("glib_host: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    g_source_attach(source, NULL);
    g_timeout_add(20, tick, &ticks);
    g_unix_signal_add(SIGTERM, on_signal, main_loop);
    g_unix_signal_add(SIGINT, on_signal, main_loop);
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    g_main_loop_run(main_loop);

    printf("%u ticks\n", ticks);
    g_source_destroy(source);
    g_source_unref(source);
    ss_release(server);
    ss_release(loop);
    g_main_loop_unref(main_loop);
    return EXIT_SUCCESS;
}
