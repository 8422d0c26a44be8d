/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A small web server over TLS, whose certificate is renewed while it serves.
 *
 *     build/https_hello CERTIFICATE KEY [port; 0 = any, default 8443] [seconds between two looks at the files, default 60]
 *     make certificate && build/https_hello build/certificate.pem build/key.pem
 *     curl -i --cacert build/certificate.pem https://localhost:8443/
 *
 * What to copy from here: the files are looked at now and then, and read anew when they have changed, as certbot and its
 * like change them. A pair that does not fit, of which one is still the old one, is refused and tried again; who is
 * connected notices nothing. And where a failed handshake is told: there is no socket yet, so on the server.
 */
#include "http.h"

#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_FILE = 64 * 1024,
    MOST_PENDING = 256 * 1024,
    SILENCE = 10 * 1000, /* milliseconds that a client may be silent, or take for its handshake */
    LEAST_BYTES = 64
};

static struct {
    const char *certificate, *key; /* the files */
    ss_tls *tls;
} identity;

static int fail(const char *what)
{
    fprintf(stderr, "https_hello: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

/* ---- Who we are. ---- */

static size_t read_file(const char *path, char *bytes)
{
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(bytes, 1, LARGEST_FILE, file);

    if (file == NULL)
        perror(path);
    else
        fclose(file);
    return length;
}

/* Reads the files, and shows what is in them to whom begins a handshake from now on, if it is another certificate than the
 * one before. False: they are of no use together. */
static bool load(bool *is_new)
{
    static char key[LARGEST_FILE], chain[LARGEST_FILE], in_use[LARGEST_FILE];
    static size_t in_use_length;
    size_t length = read_file(identity.certificate, chain), key_length = read_file(identity.key, key);
    bool done;

    *is_new = length != in_use_length || memcmp(chain, in_use, length) != 0;
    done = !*is_new || ss_tls_set_identity(identity.tls, NULL, chain, length, key, key_length) == SS_OK;
    memset(key, 0, sizeof key);
    if (done) {
        memcpy(in_use, chain, length);
        in_use_length = length;
    }
    return done;
}

static void look(void *user_data)
{
    bool is_new;

    (void)user_data;
    if (!load(&is_new)) {
        fail("the old certificate stays");
    } else if (is_new) {
        printf("the certificate is a new one\n");
        fflush(stdout);
    }
}

/* ---- Requests. ---- */

static ss_status answer(ss_socket *socket, const request *r)
{
    char body[256], out[1024];
    const char *protocol = ss_socket_protocol(socket), *name = ss_socket_server_name(socket);
    int length = snprintf(body, sizeof body, "Hello over TLS 1.%d, %.100s, from %.100s.\n", (int)ss_socket_tls_version(socket) - 10,
                          protocol == NULL ? "no ALPN" : protocol, name == NULL ? "server_socket" : name);
    const char *status = r->refused != NULL ? r->refused : is(r->path, "/") ? "200 OK" : "404 Not Found";

    if (status[0] != '2')
        length = 0;
    length = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: text/plain\r\nConnection: %s\r\n\r\n%.*s",
                      status, length, r->keep_alive ? "keep-alive" : "close", r->is_head ? 0 : length, body);
    return ss_socket_write_bytes(socket, out, (size_t)length);
}

/* As http_hello's serve(). */
static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);

    (void)user_data;
    while (ss_socket_bytes_pending(socket) < MOST_PENDING) {
        size_t length = 0;
        const char *bytes = (const char *)ss_socket_peek(socket, &length);
        request r;
        size_t used = length > 0 ? parse(bytes, length, &r) : 0;

        if (used == 0) {
            ss_socket_resume(socket);
            return;
        }
        if (answer(socket, &r) != SS_OK || ss_socket_skip(socket, used) != SS_OK) {
            ss_socket_abort(socket);
            return;
        }
        if (!r.keep_alive) {
            ss_socket_close(socket);
            return;
        }
    }
    ss_socket_pause(socket);
}

/* The handshake is done: whatever is sent here is encrypted. */
static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, on_data, NULL, false, 0) != SS_OK || ss_socket_keep(socket) != SS_OK)
        fail("connect");
}

static void on_handshake_error(ss_event *event, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "https_hello: %s\n", ss_event_detail(event));
}

int main(int argc, char **argv)
{
    int port = argc > 3 ? atoi(argv[3]) : 8443;
    uint32_t period = 1000 * (uint32_t)(argc > 4 ? atoi(argv[4]) : 60);
    ss_server *server = ss_new(NULL);
    bool is_new;

    if (argc < 3) {
        fprintf(stderr, "usage: https_hello CERTIFICATE KEY [port] [seconds]\n");
        return EXIT_FAILURE;
    }
    identity.certificate = argv[1];
    identity.key = argv[2];
    identity.tls = ss_tls_new();
    if (identity.tls == NULL || !load(&is_new))
        return fail("no certificate");
    if (ss_tls_set_protocols(identity.tls, "http/1.1") != SS_OK || ss_set_tls(server, identity.tls, NULL) != SS_OK ||
        ss_timer_new(NULL, period, period, look, NULL, NULL) == NULL ||
        ss_set_option(server, SS_OPT_IDLE_TIMEOUT, SILENCE) != SS_OK ||
        ss_set_option(server, SS_OPT_IDLE_BYTES, LEAST_BYTES) != SS_OK ||
        ss_set_option(server, SS_OPT_HANDSHAKE_TIMEOUT, SILENCE) != SS_OK ||
        ss_set_option(server, SS_OPT_READ_LIMIT, 16 * LARGEST_HEAD) != SS_OK ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_add_listener(server, SS_EVENT_HANDSHAKE_ERROR, on_handshake_error, NULL, false, 0) != SS_OK ||
        ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return fail("cannot start");
    printf("listening on https://localhost:%d/\n", (int)ss_local_port(server));
    fflush(stdout);
    return ss_loop_run(NULL) == SS_OK ? EXIT_SUCCESS : fail("cannot go on");
}
