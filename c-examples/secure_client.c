/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client over TLS: sends what it reads, and prints what comes back, as `openssl s_client` would.
 *
 *     echo hello | build/secure_client HOST PORT [CERTIFICATE to trust besides the public authorities]
 *     printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | build/secure_client localhost 8443 build/certificate.pem
 *
 * What to copy from here: connect comes when the server is known to be who it should be, and not before. There is no way to
 * skip that; a certificate of one's own is trusted by adding it. And an end that the peer did not announce (no
 * close_notify) is no good end: somebody may have cut the connection.
 */
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST_INPUT = 1024 * 1024, LARGEST_CERTIFICATE = 64 * 1024, PATIENCE = 10 * 1000 };

static char input[LARGEST_INPUT];
static size_t input_length;
static int outcome = EXIT_FAILURE;

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    const char *protocol = ss_socket_protocol(socket);

    (void)user_data;
    fprintf(stderr, "TLS 1.%d, %s: the certificate of %s is %s\n", (int)ss_socket_tls_version(socket) - 10,
            protocol == NULL ? "no ALPN" : protocol, ss_socket_server_name(socket), ss_socket_certificate_status(socket));
    if (ss_socket_write_bytes(socket, input, input_length) != SS_OK || ss_socket_shutdown(socket) != SS_OK) {
        fprintf(stderr, "secure_client: %s\n", ss_last_error_detail());
        ss_loop_stop(ss_loop_default());
    }
}

static void on_data(ss_event *event, void *user_data)
{
    size_t length;
    const uint8_t *bytes = ss_socket_take(ss_event_target(event), &length);

    (void)user_data;
    fwrite(bytes, 1, length, stdout);
}

static void on_close(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_event_os_error(event) == 0)
        outcome = EXIT_SUCCESS;
    else
        fprintf(stderr, "secure_client: %s\n", ss_event_detail(event));
    ss_loop_stop(ss_loop_default());
}

/* Nobody is there, or somebody whose certificate does not say so. No close event follows if it never was connected. */
static void on_error(ss_event *event, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "secure_client: %s (certificate: %s)\n", ss_event_detail(event),
            ss_socket_certificate_status(ss_event_target(event)));
    ss_loop_stop(ss_loop_default());
}

static bool trust(ss_tls *tls, const char *path)
{
    static char bytes[LARGEST_CERTIFICATE];
    FILE *file = fopen(path, "rb");
    size_t length;

    if (file == NULL) {
        perror(path);
        return false;
    }
    length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return ss_tls_add_certificate(tls, bytes, length, true) == SS_OK;
}

int main(int argc, char **argv)
{
    ss_socket *socket = ss_socket_new(NULL);
    ss_tls *tls = ss_tls_new();

    if (argc < 3) {
        fprintf(stderr, "usage: secure_client HOST PORT [CERTIFICATE]\n");
        return EXIT_FAILURE;
    }
    input_length = fread(input, 1, sizeof input, stdin);
    if (tls == NULL || (argc > 3 && !trust(tls, argv[3])) || ss_set_tls(socket, tls, NULL) != SS_OK ||
        ss_set_option(socket, SS_OPT_HALF_OPEN, 1) != SS_OK || ss_socket_set_timeout(socket, PATIENCE) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_CLOSE, on_close, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_IO_ERROR, on_error, NULL, false, 0) != SS_OK ||
        ss_socket_connect(socket, argv[1], atoi(argv[2])) != SS_OK) {
        fprintf(stderr, "secure_client: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    if (ss_loop_run(NULL) != SS_OK)
        fprintf(stderr, "secure_client: %s\n", ss_last_error_detail());
    ss_release(socket);
    ss_release(tls);
    return outcome;
}
