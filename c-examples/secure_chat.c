/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The chat of chat_server.c over TLS: who listens on the way learns nothing of what is said.
 *
 *     build/secure_chat CERTIFICATE KEY [port; 0 = any, default 7002]
 *     make certificate && build/secure_chat build/certificate.pem build/key.pem
 *     openssl s_client -quiet -connect localhost:7002 -CAfile build/certificate.pem -verify_return_error       (twice)
 *
 * What to copy from here: nothing but main() is different. Lines, guests and the bound on what a slow guest may
 * have unsent are those of a plain server. A guest comes when his handshake is done. Until then he has no socket, takes
 * a place among SS_OPT_MAX_CONNECTIONS, and has SS_OPT_HANDSHAKE_TIMEOUT.
 */
#include "chat.h"

enum { LARGEST_FILE = 64 * 1024, HANDSHAKE = 10 * 1000, MOST_GUESTS = 2000 };

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

/* Makes the server secure. The key is not left behind in memory of ours. */
static bool secure(ss_server *server, const char *certificate, const char *key_file)
{
    static char chain[LARGEST_FILE], key[LARGEST_FILE];
    size_t chain_length = read_file(certificate, chain), key_length = read_file(key_file, key);
    ss_tls *tls = ss_tls_new();
    bool done = ss_tls_set_identity(tls, NULL, chain, chain_length, key, key_length) == SS_OK && ss_set_tls(server, tls, NULL) == SS_OK;

    memset(key, 0, sizeof key);
    return done && ss_release(tls) == SS_OK; /* the server goes on with it */
}

static void on_handshake_error(ss_event *event, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "%s: %s\n", program, ss_event_detail(event));
}

int main(int argc, char **argv)
{
    int port = argc > 3 ? atoi(argv[3]) : 7002;
    ss_server *server;

    program = "secure_chat";
    ss_set_log(on_log, NULL);
    if (argc < 3) {
        fprintf(stderr, "usage: secure_chat CERTIFICATE KEY [port]\n");
        return EXIT_FAILURE;
    }
    server = ss_new(NULL);
    if (server == NULL || !secure(server, argv[1], argv[2]) ||
        ss_set_option(server, SS_OPT_HANDSHAKE_TIMEOUT, HANDSHAKE) != SS_OK ||
        ss_set_option(server, SS_OPT_MAX_CONNECTIONS, MOST_GUESTS) != SS_OK ||
        ss_add_listener(server, SS_EVENT_HANDSHAKE_ERROR, on_handshake_error, NULL, false, 0) != SS_OK)
        return fail("cannot start");
    return serve(server, port);
}
