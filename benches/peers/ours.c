/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our library from C, in the way of the header's program; with BENCH_TLS a secure server. */
#include "peer.h"

#include <server_socket.h>

static enum mode mode;

static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length;
    const uint8_t *bytes = ss_socket_take(socket, &length);

    (void)user_data;
    if (mode == MODE_ECHO && ss_socket_write_bytes(socket, bytes, length) != SS_OK)
        ss_socket_abort(socket);
}

static void on_close(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_release(ss_event_target(event));
}

/* A source: writes until the system takes no more, and again when it has taken the rest. */
static void emit(ss_socket *socket)
{
    for (int i = 0; i < BURST && ss_socket_bytes_pending(socket) == 0; i++)
        if (ss_socket_write_bytes(socket, pattern, CHUNK) != SS_OK)
            return;
}

static void on_progress(ss_event *event, void *user_data)
{
    (void)user_data;
    emit(ss_event_target(event));
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    if (mode == MODE_DISCARD)
        return; /* not retained, so it is closed */
    ss_retain(socket);
    ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0);
    ss_add_listener(socket, SS_EVENT_CLOSE, on_close, NULL, false, 0);
    if (mode == MODE_SOURCE) {
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, on_progress, NULL, false, 0);
        emit(socket);
    }
}

#ifdef BENCH_TLS
static bool secure(ss_server *server)
{
    size_t chain_length, key_length;
    char *chain = peer_file("BENCH_CERTIFICATE", &chain_length), *key = peer_file("BENCH_KEY", &key_length);
    ss_tls *tls = ss_tls_new();

    return ss_tls_set_identity(tls, NULL, chain, chain_length, key, key_length) == SS_OK && ss_set_tls(server, tls, NULL) == SS_OK;
}

/* A plain server on the same loop: how long do its messages take beside handshakes? */
static void add_plain(void)
{
    ss_server *server = ss_new(NULL);

    ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0);
    if (ss_bind(server, 0, "127.0.0.1") != SS_OK || ss_listen(server, BACKLOG) != SS_OK)
        peer_failed("ours", ss_last_error_detail());
    peer_listens(ss_local_port(server));
}
#else
static void add_plain(void)
{
}

static bool secure(ss_server *server)
{
    (void)server;
    return true;
}
#endif

int main(int argc, char **argv)
{
    ss_server *server = ss_new(NULL);
    int port;

    mode = peer_begin(argc, argv, &port);
    ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0);
    if (!secure(server) || ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, BACKLOG) != SS_OK)
        peer_failed("ours", ss_last_error_detail());
    peer_listens(ss_local_port(server));
    add_plain();
    return ss_loop_run(NULL) != SS_OK;
}
