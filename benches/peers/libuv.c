/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libuv, tuned: one receive buffer for all connections, uv_try_write first, and a copy only of what it refuses. */
#include "peer.h"

#include <stdbool.h>
#include <uv.h>

struct connection {
    uv_tcp_t handle;
    size_t position; /* of a source, in the pattern */
};

/* What is being written in the background. */
struct rest {
    uv_write_t request;
    struct connection *connection;
    uint8_t bytes[];
};

static enum mode mode;
static char buffer[READ_SIZE];

static void on_data(uv_stream_t *stream, ssize_t got, const uv_buf_t *chunk);
static void emit(struct connection *connection);

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *chunk)
{
    (void)handle;
    (void)suggested;
    *chunk = uv_buf_init(buffer, sizeof buffer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void hang_up(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)connection))
        uv_close((uv_handle_t *)connection, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct rest *rest = (struct rest *)request;
    struct connection *connection = rest->connection;

    free(rest);
    if (status < 0)
        hang_up(connection);
    else if (mode == MODE_SOURCE)
        emit(connection);
    else
        uv_read_start((uv_stream_t *)connection, on_room, on_data);
}

/* Returns how much the system took; less than 0: the connection is gone. */
static ssize_t try_write(struct connection *connection, const void *bytes, size_t length)
{
    uv_buf_t chunk = uv_buf_init((char *)bytes, (unsigned)length);
    int sent = uv_try_write((uv_stream_t *)connection, &chunk, 1);

    if (sent == UV_EAGAIN)
        return 0;
    if (sent < 0)
        hang_up(connection);
    return sent;
}

/* lasting: the bytes stay where they are, and need no copy. */
static void write_later(struct connection *connection, const void *bytes, size_t length, bool lasting)
{
    struct rest *rest = malloc(sizeof *rest + (lasting ? 0 : length));
    uv_buf_t chunk;

    if (rest == NULL)
        peer_failed("libuv", "out of memory");
    rest->connection = connection;
    chunk = uv_buf_init((char *)(lasting ? bytes : memcpy(rest->bytes, bytes, length)), (unsigned)length);
    if (uv_write(&rest->request, (uv_stream_t *)connection, &chunk, 1, on_written) != 0)
        peer_failed("libuv", "uv_write");
}

static void on_data(uv_stream_t *stream, ssize_t got, const uv_buf_t *chunk)
{
    struct connection *connection = (struct connection *)stream;
    ssize_t sent;

    if (got < 0) {
        hang_up(connection);
        return;
    }
    if (mode != MODE_ECHO || got == 0 || (sent = try_write(connection, chunk->base, (size_t)got)) < 0 || sent == got)
        return;
    uv_read_stop(stream); /* until that has gone */
    write_later(connection, chunk->base + sent, (size_t)(got - sent), false);
}

/* A source: what the system takes at once, a bounded number of times, then the rest in the background. */
static void emit(struct connection *connection)
{
    for (int i = 0; i < BURST; i++) {
        ssize_t sent = try_write(connection, pattern + connection->position, CHUNK);
        if (sent < 0)
            return;
        connection->position = (connection->position + (size_t)sent) % PATTERN_PERIOD;
        if (sent < CHUNK)
            break;
    }
    write_later(connection, pattern + connection->position, CHUNK, true);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL || status < 0)
        peer_failed("libuv", "accept");
    uv_tcp_init(server->loop, &connection->handle);
    if (uv_accept(server, (uv_stream_t *)connection) != 0 || mode == MODE_DISCARD) {
        hang_up(connection);
        return;
    }
    uv_read_start((uv_stream_t *)connection, on_room, on_data);
    if (mode == MODE_SOURCE)
        emit(connection);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int port, length = sizeof bound;
    uv_tcp_t server;

    mode = peer_begin(argc, argv, &port);
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(uv_default_loop(), &server);
    if (uv_tcp_bind(&server, (struct sockaddr *)&address, 0) != 0 ||
        uv_tcp_nodelay(&server, 1) != 0 || /* accepted sockets inherit it */
        uv_listen((uv_stream_t *)&server, BACKLOG, on_connection) != 0 ||
        uv_tcp_getsockname(&server, (struct sockaddr *)&bound, &length) != 0)
        peer_failed("libuv", "cannot listen");
    peer_listens(ntohs(((struct sockaddr_in *)&bound)->sin_port));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
