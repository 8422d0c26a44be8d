/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client: connects by name, sends its input, prints what comes back, and ends when the other side does. Its exit status
 * is 0 if everything was sent and the other side has ended as it should.
 *
 *     build/client HOST PORT < FILE
 *
 * The whole input may be larger than the write limit: it is read in pieces, the next one when the last was sent.
 */
#define _XOPEN_SOURCE 600
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SILENCE = 60000 }; /* milliseconds after which the other side is given up */

struct transfer {
    ss_socket *socket;
    int input_ended, sent, failed;
    char piece[65536];
};

static void fail(struct transfer *transfer, const char *what)
{
    fprintf(stderr, "client: %s\n", what);
    transfer->failed = 1;
    ss_socket_abort(transfer->socket); /* no event follows; with nothing left to do the loop ends */
}

/* Ends our side, when all has been handed to the system: the other one reads it, and then the end. Its answer goes on. */
static void end_sending(struct transfer *transfer)
{
    if (ss_socket_shutdown(transfer->socket) == SS_OK)
        transfer->sent = 1;
}

/* Reads and sends, until there is a good deal on its way. outputProgress brings us back when that has left. */
static void send_more(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;

    (void)event;
    while (!transfer->input_ended && ss_socket_bytes_pending(transfer->socket) < sizeof transfer->piece) {
        size_t length = fread(transfer->piece, 1, sizeof transfer->piece, stdin);

        if (length == 0 && ferror(stdin)) {
            fail(transfer, "the input cannot be read");
            return;
        }
        transfer->input_ended = length == 0;
        if (length > 0 && ss_socket_write_bytes(transfer->socket, transfer->piece, length) != SS_OK) {
            fail(transfer, ss_last_error_detail());
            return;
        }
    }
    if (transfer->input_ended && !transfer->sent && ss_socket_bytes_pending(transfer->socket) == 0)
        end_sending(transfer);
}

static void print(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;
    size_t length = 0;
    const uint8_t *bytes = ss_socket_take(transfer->socket, &length);

    (void)event;
    if (fwrite(bytes, 1, length, stdout) != length)
        fail(transfer, "the output takes no more");
}

/* The other side has ended: as it should after all of its answer, or because something broke. */
static void on_close(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;
    int number = (int)ss_event_os_error(event);

    if (number != 0 && !transfer->failed) {
        fprintf(stderr, "client: the connection is broken: %s\n", strerror(number));
        transfer->failed = 1;
    }
}

/* Not found, refused, timed out, reset: the number is the system's, or getaddrinfo's for a name. */
static void on_error(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;
    int number = (int)ss_event_os_error(event);

    fprintf(stderr, "client: %s (%d%s%s)\n", ss_event_text(event), number, number > 0 ? ", " : "",
            number > 0 ? strerror(number) : "");
    transfer->failed = 1;
}

int main(int argc, char **argv)
{
    static struct transfer transfer;

    if (argc != 3) {
        fprintf(stderr, "usage: client HOST PORT\n");
        return EXIT_FAILURE;
    }
    transfer.socket = ss_socket_new(NULL);
    if (transfer.socket == NULL ||
        ss_add_listener(transfer.socket, SS_EVENT_CONNECT, send_more, &transfer, false, 0) != SS_OK ||
        ss_add_listener(transfer.socket, SS_EVENT_OUTPUT_PROGRESS, send_more, &transfer, false, 0) != SS_OK ||
        ss_add_listener(transfer.socket, SS_EVENT_SOCKET_DATA, print, &transfer, false, 0) != SS_OK ||
        ss_add_listener(transfer.socket, SS_EVENT_IO_ERROR, on_error, &transfer, false, 0) != SS_OK ||
        ss_add_listener(transfer.socket, SS_EVENT_CLOSE, on_close, &transfer, false, 0) != SS_OK ||
        ss_set_option(transfer.socket, SS_OPT_IDLE_TIMEOUT, SILENCE) != SS_OK ||
        ss_socket_connect(transfer.socket, argv[1], atoi(argv[2])) != SS_OK) {
        fprintf(stderr, "client: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    if (ss_loop_run(NULL) != SS_OK) { /* until the connection is over: nothing else is on this loop */
        fprintf(stderr, "client: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    ss_release(transfer.socket);
    if (!transfer.failed && !transfer.sent)
        fprintf(stderr, "client: the other side ended before it had got everything\n");
    if (fflush(stdout) != 0)
        fprintf(stderr, "client: the output takes no more\n");
    return transfer.failed || !transfer.sent || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
