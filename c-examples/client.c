/* A client: connects by name, sends its input, prints what comes back, and ends when the other side does.
 *
 *     build/client HOST PORT < FILE
 *
 * The whole input may be larger than the write limit: it is read in pieces, the next one when the last was sent.
 */
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
    ss_socket *socket;
    unsigned long long sent, received;
    int input_ended, failed;
    char piece[65536];
};

/* Everything was sent, and as much came back: an echo server has answered. */
static void end_if_answered(struct transfer *transfer)
{
    if (transfer->input_ended && transfer->received >= transfer->sent)
        ss_socket_close(transfer->socket); /* no event follows; with nothing left to do the loop ends */
}

/* Reads and sends, until there is a good deal on its way. outputProgress brings us back when that has left. */
static void send_more(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;

    (void)event;
    while (!transfer->input_ended && ss_socket_bytes_pending(transfer->socket) < sizeof transfer->piece) {
        size_t length = fread(transfer->piece, 1, sizeof transfer->piece, stdin);

        if (length == 0) {
            transfer->input_ended = 1;
        } else if (ss_socket_write_bytes(transfer->socket, transfer->piece, length) == SS_OK) {
            transfer->sent += length;
        } else {
            fprintf(stderr, "client: %s\n", ss_last_error_detail());
            transfer->failed = 1;
            ss_socket_abort(transfer->socket);
            return;
        }
    }
    end_if_answered(transfer);
}

static void print(ss_event *event, void *user_data)
{
    struct transfer *transfer = user_data;
    size_t length = 0;
    const uint8_t *bytes = ss_socket_peek(transfer->socket, &length);

    (void)event;
    fwrite(bytes, 1, length, stdout);
    ss_socket_skip(transfer->socket, length);
    transfer->received += length;
    end_if_answered(transfer);
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
        ss_socket_connect(transfer.socket, argv[1], atoi(argv[2])) != SS_OK) {
        fprintf(stderr, "client: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    if (ss_loop_run(NULL) != SS_OK) { /* until the connection is over: nothing else is on this loop */
        fprintf(stderr, "client: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    ss_release(transfer.socket);
    if (!transfer.failed && transfer.received < transfer.sent)
        fprintf(stderr, "client: the other side ended early\n");
    return transfer.failed || transfer.received < transfer.sent ? EXIT_FAILURE : EXIT_SUCCESS;
}
