/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Socket through the C interface, as a server meets it: the chapters on Socket of docs/SEMANTICS.md. */
#include "check.h"

/* ---- Helpers ---- */

/* A connected pair and what its server side has told. */
typedef struct {
    ss_loop *loop;
    ss_server *server;
    ss_socket *socket;
    int client;
    int data, closes, errors, progress;
    uint64_t loaded;                /* sum of bytes_loaded */
    uint64_t pending, total;        /* of the last outputProgress */
    char order[64];                 /* d, c, e, p: the events in order; repeated ones once */
} pair;

static void note_order(pair *p, char letter)
{
    size_t length = strlen(p->order);
    CHECK_EQ(p->closes, letter == 'c' ? 1 : 0); /* close is the last of all */
    if (length > 0 && p->order[length - 1] == letter) return;
    if (length + 1 < sizeof p->order) p->order[length] = letter; /* a long exchange: its beginning will do */
}

static void on_data(ss_event *event, void *user_data)
{
    pair *p = (pair *)user_data;
    ++p->data;
    CHECK(ss_event_bytes_loaded(event) > 0);
    CHECK_EQ(ss_event_bytes_total(event), 0);
    CHECK(ss_event_target(event) == (ss_object *)p->socket);
    p->loaded += ss_event_bytes_loaded(event);
    note_order(p, 'd');
}

static void on_close(ss_event *event, void *user_data)
{
    pair *p = (pair *)user_data;
    char text[100];
    ++p->closes;
    CHECK(!ss_socket_connected(p->socket));
    CHECK(!ss_event_bubbles(event));
    CHECK(!ss_event_cancelable(event));
    ss_event_to_string(event, text, sizeof text);
    CHECK_TEXT(text, "[Event type=\"close\" bubbles=false cancelable=false eventPhase=2]");
    note_order(p, 'c');
}

static void on_error(ss_event *event, void *user_data)
{
    pair *p = (pair *)user_data;
    char text[200];
    ++p->errors;
    CHECK_EQ(ss_event_error_id(event), 2031);
    CHECK_TEXT(ss_event_text(event), "Error #2031: Socket Error.");
    CHECK(!ss_event_bubbles(event));
    CHECK(!ss_event_cancelable(event));
    CHECK(ss_event_os_error(event) == ECONNRESET || ss_event_os_error(event) == EPIPE);
    ss_event_to_string(event, text, sizeof text);
    CHECK_TEXT(text, "[IOErrorEvent type=\"ioError\" bubbles=false cancelable=false eventPhase=2 text=\"Error #2031: Socket Error.\"]");
    note_order(p, 'e');
}

static void on_progress(ss_event *event, void *user_data)
{
    pair *p = (pair *)user_data;
    char text[200], expected[200];
    ++p->progress;
    p->pending = ss_event_bytes_pending(event);
    p->total = ss_event_bytes_total(event);
    CHECK(p->pending <= p->total);
    CHECK_EQ(p->pending, ss_socket_bytes_pending(p->socket));
    ss_event_to_string(event, text, sizeof text);
    snprintf(expected, sizeof expected,
             "[OutputProgressEvent type=\"outputProgress\" bubbles=false cancelable=false eventPhase=2 bytesPending=%llu bytesTotal=%llu]",
             (unsigned long long)p->pending, (unsigned long long)p->total);
    CHECK_TEXT(text, expected);
    note_order(p, 'p');
}

static void listen_to(pair *p)
{
    CHECK_OK(ss_add_listener(p->socket, SS_EVENT_SOCKET_DATA, on_data, p, false, 10));
    CHECK_OK(ss_add_listener(p->socket, SS_EVENT_CLOSE, on_close, p, false, 10));
    CHECK_OK(ss_add_listener(p->socket, SS_EVENT_IO_ERROR, on_error, p, false, 10));
    CHECK_OK(ss_add_listener(p->socket, SS_EVENT_OUTPUT_PROGRESS, on_progress, p, false, 10));
}

static void open_pair_with(pair *p, int client_buffers)
{
    memset(p, 0, sizeof *p);
    p->loop = new_loop();
    p->server = new_listening_server(p->loop);
    p->socket = accept_client_with(p->loop, p->server, client_buffers, &p->client);
    listen_to(p);
}

static void open_pair(pair *p)
{
    open_pair_with(p, 0);
}

/* Closes the client if it is still open, and ends the loop with all that is on it. */
static void end_pair(pair *p)
{
    if (p->client >= 0) close(p->client);
    CHECK_OK(ss_release(p->loop));
}

/* What can be asked of a socket without a connection. */
static void check_not_open(ss_socket *socket)
{
    uint8_t byte;
    CHECK(!ss_socket_connected(socket));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_write_bytes(socket, "x", 1));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_read_bytes(socket, &byte, 1));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_skip(socket, 1));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_flush(socket));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_close(socket));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_abort(socket));
    CHECK_EQ(ss_socket_read(socket, &byte, 1), 0);
    CHECK_EQ(ss_socket_bytes_available(socket), 0);
    CHECK_EQ(ss_socket_bytes_pending(socket), 0);
}

static void check_no_addresses(ss_socket *socket)
{
    CHECK_TEXT(ss_socket_local_address(socket), NULL);
    CHECK_TEXT(ss_socket_remote_address(socket), NULL);
    CHECK_EQ(ss_socket_local_port(socket), 0);
    CHECK_EQ(ss_socket_remote_port(socket), 0);
}

/* ---- State ---- */

static void a_new_socket_is_not_connected_and_refuses_data(void)
{
    ss_loop *loop = new_loop();
    int before = count_descriptors();
    ss_socket *socket = ss_socket_new(loop);
    size_t length = 77;
    CHECK(socket != NULL);
    CHECK_EQ(count_descriptors(), before);
    check_not_open(socket);
    check_no_addresses(socket);
    CHECK(ss_socket_peek(socket, &length) == NULL || length == 0);
#ifdef HAVE_ss_socket_endian
    CHECK_EQ(ss_socket_endian(socket), SS_BIG_ENDIAN);
#endif
#ifdef HAVE_ss_socket_timeout
    CHECK_EQ(ss_socket_timeout(socket), 20000);
#endif
    CHECK_OK(ss_release(loop));
}

static void check_addresses(pair *p, int32_t remote_port)
{
    CHECK_TEXT(ss_socket_local_address(p->socket), "127.0.0.1");
    CHECK_TEXT(ss_socket_remote_address(p->socket), "127.0.0.1");
    CHECK_EQ(ss_socket_local_port(p->socket), ss_local_port(p->server));
    CHECK_EQ(ss_socket_remote_port(p->socket), remote_port);
}

static void addresses_stay_known_after_the_peer_is_gone_until_the_next_connect(void)
{
    pair p;
    int32_t port;
    open_pair(&p);
    port = port_of(p.client);
    client_reset(p.client);
    p.client = -1;
    check_addresses(&p, port); /* getpeername(2) would fail by now */
    PUMP_UNTIL(p.loop, p.closes == 1);
    check_addresses(&p, port);
    CHECK_OK(ss_socket_connect(p.socket, "127.0.0.1", ss_local_port(p.server)));
    check_no_addresses(p.socket);
    end_pair(&p);
}

/* ---- Reading ---- */

static void data_events_count_the_new_bytes_and_unread_ones_stay(void)
{
    pair p;
    char text[20];
    size_t length = 0;
    open_pair(&p);
    client_send(p.loop, p.client, "hello", 5);
    PUMP_UNTIL(p.loop, p.loaded == 5);
    CHECK_EQ(ss_socket_bytes_available(p.socket), 5);
    settle(p.loop);
    CHECK_EQ(p.loaded, 5); /* no second event for old bytes */
    client_send(p.loop, p.client, " world", 6);
    PUMP_UNTIL(p.loop, p.loaded == 11);
    CHECK_EQ(ss_socket_bytes_available(p.socket), 11);

    CHECK(memcmp(ss_socket_peek(p.socket, &length), "hello world", 11) == 0);
    CHECK_EQ(length, 11);
    CHECK_EQ(ss_socket_bytes_available(p.socket), 11);
    CHECK_OK(ss_socket_skip(p.socket, 1));
    CHECK_EQ(ss_socket_read(p.socket, text, 0), 0);
    CHECK_EQ(ss_socket_read(p.socket, text, 4), 4);
    CHECK(memcmp(text, "ello", 4) == 0);
    CHECK_OK(ss_socket_read_bytes(p.socket, text, 2));
    CHECK(memcmp(text, " w", 2) == 0);
    CHECK_EQ(ss_socket_read(p.socket, text, sizeof text), 4);
    CHECK(memcmp(text, "orld", 4) == 0);
    CHECK_EQ(ss_socket_bytes_available(p.socket), 0);
    CHECK_EQ(ss_socket_read(p.socket, text, sizeof text), 0);
    CHECK(ss_socket_connected(p.socket));
    end_pair(&p);
}

static void describe(ss_event *event, void *user_data)
{
    ss_event_to_string(event, (char *)user_data, 200);
}

static void the_data_event_describes_itself(void)
{
    pair p;
    char text[200] = "";
    open_pair(&p);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_SOCKET_DATA, describe, text, false, 0));
    client_send(p.loop, p.client, "hello", 5);
    PUMP_UNTIL(p.loop, p.data == 1);
    CHECK_TEXT(text, "[ProgressEvent type=\"socketData\" bubbles=false cancelable=false eventPhase=2 bytesLoaded=5 bytesTotal=0]");
    end_pair(&p);
}

static void reading_more_than_there_is_consumes_nothing(void)
{
    const size_t limit = 16 << 20; /* SS_OPT_READ_LIMIT: more can never be there */
    pair p;
    char text[6] = "-----";
    open_pair(&p);
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_read_bytes(p.socket, text, 1)); /* nothing has come at all */
    client_send(p.loop, p.client, "abc", 3);
    PUMP_UNTIL(p.loop, p.loaded == 3);
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_read_bytes(p.socket, text, 4));
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_read_bytes(p.socket, text, limit));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_socket_read_bytes(p.socket, text, limit + 1));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_socket_read_bytes(p.socket, text, SIZE_MAX));
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_skip(p.socket, 4));
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_skip(p.socket, limit));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_socket_skip(p.socket, limit + 1));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_socket_skip(p.socket, SIZE_MAX));
    CHECK_TEXT(text, "-----");
    CHECK_EQ(ss_socket_bytes_available(p.socket), 3);
    CHECK_OK(ss_socket_read_bytes(p.socket, text, 0));
    CHECK_OK(ss_socket_skip(p.socket, 0));
    CHECK_OK(ss_socket_read_bytes(p.socket, text, 3));
    CHECK_TEXT(text, "abc--");
    end_pair(&p);
}

static void null_buffers_are_refused_unless_empty(void)
{
    pair p;
    size_t length = 0;
    open_pair(&p);
    client_send(p.loop, p.client, "abc", 3);
    PUMP_UNTIL(p.loop, p.loaded == 3);
    CHECK(ss_socket_read_bytes(p.socket, NULL, 2) != SS_OK);
    CHECK(ss_socket_write_bytes(p.socket, NULL, 2) != SS_OK);
    CHECK_EQ(ss_socket_read(p.socket, NULL, 2), 0);
    CHECK_OK(ss_socket_read_bytes(p.socket, NULL, 0));
    CHECK_OK(ss_socket_write_bytes(p.socket, NULL, 0));
    CHECK_EQ(ss_socket_bytes_available(p.socket), 3);
    CHECK(ss_socket_peek(p.socket, &length) != NULL);
    CHECK_EQ(length, 3);
    end_pair(&p);
}

static void read_three(ss_event *event, void *user_data)
{
    char piece[3];
    size_t n = ss_socket_read((ss_socket *)ss_event_target(event), piece, sizeof piece);
    char *text = (char *)user_data;
    strncat(text, piece, n);
}

static void a_listener_need_not_read_everything(void)
{
    pair p;
    char text[20] = "", rest[20] = "";
    open_pair(&p);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_SOCKET_DATA, read_three, text, false, 0));
    client_send(p.loop, p.client, "abcdef", 6);
    PUMP_UNTIL(p.loop, p.loaded == 6);
    client_send(p.loop, p.client, "ghi", 3);
    PUMP_UNTIL(p.loop, p.loaded == 9);
    settle(p.loop);
    ss_socket_read(p.socket, rest, sizeof rest);
    strcat(text, rest);
    CHECK_TEXT(text, "abcdefghi");
    end_pair(&p);
}

static void unread_bytes_survive_the_end_of_the_peer(void)
{
    pair p;
    unsigned char *sent = new_pattern(100000), *got = (unsigned char *)malloc(100000);
    open_pair(&p);
    client_send(p.loop, p.client, sent, 100000);
    close(p.client);
    p.client = -1;
    PUMP_UNTIL(p.loop, p.closes == 1);
    settle(p.loop);
    CHECK_EQ(p.loaded, 100000);
    CHECK_TEXT(p.order, "dc");
    CHECK_EQ(p.errors, 0);
    CHECK_EQ(ss_socket_bytes_available(p.socket), 100000);
    CHECK_EQ(ss_socket_read(p.socket, got, 1000), 1000);
    CHECK_FAILS(SS_ERR_EOF, AIR_2030, 0, ss_socket_read_bytes(p.socket, got, 99001));
    CHECK_OK(ss_socket_read_bytes(p.socket, got + 1000, 99000));
    CHECK(memcmp(sent, got, 100000) == 0);
    check_not_open(p.socket); /* emptied and ended: as if never connected */
    free(sent);
    free(got);
    end_pair(&p);
}

static void read_at_close(ss_event *event, void *user_data)
{
    CHECK_OK(ss_socket_read_bytes((ss_socket *)ss_event_target(event), user_data, 5));
}

static void unread_bytes_can_be_read_in_the_close_listener(void)
{
    pair p;
    char text[6] = "";
    open_pair(&p);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_CLOSE, read_at_close, text, false, 0));
    client_send(NULL, p.client, "later", 5);
    close(p.client);
    p.client = -1;
    PUMP_UNTIL(p.loop, p.closes == 1);
    CHECK_TEXT(text, "later");
    end_pair(&p);
}

static void all_data_comes_before_close_whatever_the_size(void)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 65536, 262144, 300000, 1000000};
    size_t i, round;
    for (round = 0; round < (size_t)(20 / slow_factor() + 1); ++round)
        for (i = 0; i < COUNT_OF(sizes); ++i) {
            pair p;
            unsigned char *sent = new_pattern(sizes[i]), *got = (unsigned char *)malloc(sizes[i] + 1);
            open_pair(&p);
            client_send(p.loop, p.client, sent, sizes[i]);
            CHECK_EQ(shutdown(p.client, SHUT_WR), 0);
            if (round % 2) {
                close(p.client);
                p.client = -1;
            }
            PUMP_UNTIL(p.loop, p.closes == 1);
            settle(p.loop);
            CHECK_EQ(p.closes, 1);
            CHECK_EQ(p.loaded, sizes[i]);
            CHECK_TEXT(p.order, sizes[i] ? "dc" : "c");
            CHECK_EQ(ss_socket_read(p.socket, got, sizes[i] + 1), sizes[i]);
            CHECK(memcmp(sent, got, sizes[i]) == 0);
            free(sent);
            free(got);
            end_pair(&p);
        }
}

static void data_before_a_reset_is_delivered_and_one_close_follows(void)
{
    pair p;
    char got[1000];
    unsigned char *sent = new_pattern(sizeof got);
    open_pair(&p);
    client_send(NULL, p.client, sent, sizeof got);
    client_reset(p.client);
    p.client = -1;
    PUMP_UNTIL(p.loop, p.closes == 1);
    settle(p.loop);
    CHECK_EQ(p.closes, 1);
    CHECK_EQ(p.errors, 0); /* no output was lost */
    CHECK_TEXT(p.order, "dc");
    CHECK_OK(ss_socket_read_bytes(p.socket, got, sizeof got));
    CHECK(memcmp(sent, got, sizeof got) == 0);
    free(sent);
    end_pair(&p);
}

static void a_reset_that_loses_output_is_an_error_and_then_a_close(void)
{
    enum { VOLUME = 20000000 };
    pair p;
    unsigned char *bytes = new_pattern(VOLUME);
    open_pair_with(&p, 16384);
    CHECK_OK(ss_socket_write_bytes(p.socket, bytes, VOLUME));
    settle(p.loop);
    CHECK(ss_socket_bytes_pending(p.socket) > 0);
    client_reset(p.client);
    p.client = -1;
    PUMP_UNTIL(p.loop, p.closes == 1);
    settle(p.loop);
    CHECK_EQ(p.errors, 1);
    CHECK_EQ(p.closes, 1);
    CHECK(strstr(p.order, "ec") != NULL);
    check_not_open(p.socket);
    free(bytes);
    end_pair(&p);
}

/* ---- Writing ---- */

static void write_in_pieces(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    (void)user_data;
    CHECK_OK(ss_socket_write_bytes(socket, "one ", 4));
    CHECK_OK(ss_socket_write_bytes(socket, "two ", 4));
    CHECK_OK(ss_socket_write_bytes(socket, "three", 5));
}

static void the_writes_of_one_listener_leave_together(void)
{
    pair p;
    char text[14] = "";
    open_pair(&p);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_SOCKET_DATA, write_in_pieces, NULL, false, 0));
    client_send(p.loop, p.client, "go", 2);
    client_receive(p.loop, p.client, text, 13);
    CHECK_TEXT(text, "one two three");
#ifdef __linux__
    {
        struct tcp_info info;
        socklen_t length = sizeof info;
        CHECK_EQ(getsockopt(p.client, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
        if (length > sizeof info / 2) CHECK_EQ(info.tcpi_data_segs_in, 1); /* else an emulator passes only part of it on */
    }
#endif
    end_pair(&p);
}

static void written_bytes_leave_with_the_next_turn_or_with_flush(void)
{
    pair p;
    char text[6] = "";
    open_pair(&p);
    settle(p.loop);
    CHECK_OK(ss_socket_write_bytes(p.socket, "hello", 5));
    CHECK_OK(ss_loop_poll(p.loop, 0, NULL));
    client_receive(NULL, p.client, text, 5);
    CHECK_TEXT(text, "hello");
    CHECK_OK(ss_socket_write_bytes(p.socket, "again", 5));
    CHECK_OK(ss_socket_flush(p.socket));
    CHECK_EQ(ss_socket_bytes_pending(p.socket), 0);
    client_receive(NULL, p.client, text, 5);
    CHECK_TEXT(text, "again");
    CHECK_OK(ss_socket_flush(p.socket)); /* with nothing to send: nothing happens */
    end_pair(&p);
}

static void the_caller_may_change_its_buffer_after_a_write(void)
{
    pair p;
    char buffer[] = "first", text[6] = "";
    open_pair(&p);
    CHECK_OK(ss_socket_write_bytes(p.socket, buffer, 5));
    memcpy(buffer, "XXXXX", 5);
    client_receive(p.loop, p.client, text, 5);
    CHECK_TEXT(text, "first");
    end_pair(&p);
}

static void output_progress_counts_what_is_sent_and_what_is_left(void)
{
    pair p;
    open_pair(&p);
    CHECK_OK(ss_socket_write_bytes(p.socket, "hello", 5));
    PUMP_UNTIL(p.loop, p.progress == 1);
    CHECK_EQ(p.pending, 0);
    CHECK_EQ(p.total, 5);
    CHECK_OK(ss_socket_write_bytes(p.socket, "abc", 3));
    CHECK_OK(ss_socket_write_bytes(p.socket, "defg", 4));
    PUMP_UNTIL(p.loop, p.progress == 2);
    CHECK_EQ(p.pending, 0);
    CHECK_EQ(p.total, 12); /* since the connection began */
    settle(p.loop);
    CHECK_EQ(p.progress, 2);
    end_pair(&p);
}

static void a_write_that_can_never_fit_is_out_of_range(void)
{
    pair p;
    char text[101] = "";
    open_pair(&p);
    CHECK_OK(ss_set_option(p.socket, SS_OPT_WRITE_LIMIT, 100));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_socket_write_bytes(p.socket, text, 101));
    CHECK_EQ(ss_socket_bytes_pending(p.socket), 0);
    CHECK_OK(ss_socket_write_bytes(p.socket, text, 100));
    CHECK_STATUS(SS_ERR_FULL, ss_socket_write_bytes(p.socket, text, 1)); /* it fits when those are sent */
    CHECK_OK(ss_socket_flush(p.socket));
    CHECK_OK(ss_socket_write_bytes(p.socket, text, 1));
    end_pair(&p);
}

static void an_empty_write_does_nothing(void)
{
    pair p;
    open_pair(&p);
    CHECK_OK(ss_socket_write_bytes(p.socket, "", 0));
    CHECK_EQ(ss_socket_bytes_pending(p.socket), 0);
    settle(p.loop);
    CHECK_EQ(p.progress, 0);
    CHECK(client_is_idle(p.client));
    end_pair(&p);
}

static void a_write_to_a_slow_reader_never_blocks_and_loses_nothing(void)
{
    const size_t volume = 20000000;
    pair p;
    unsigned char *sent = new_pattern(volume), *got = (unsigned char *)malloc(volume);
    open_pair_with(&p, 16384);
    CHECK_OK(ss_socket_write_bytes(p.socket, sent, volume));
    CHECK_OK(ss_socket_flush(p.socket));
    settle(p.loop);
    CHECK(ss_socket_bytes_pending(p.socket) > 0);
    CHECK(ss_socket_connected(p.socket));
    CHECK_EQ(p.pending, ss_socket_bytes_pending(p.socket)); /* as the last outputProgress said */
    client_receive(p.loop, p.client, got, volume);
    CHECK(memcmp(sent, got, volume) == 0);
    PUMP_UNTIL(p.loop, ss_socket_bytes_pending(p.socket) == 0 && p.pending == 0);
    CHECK_EQ(p.total, volume);
    CHECK(p.progress > 1);
    free(sent);
    free(got);
    end_pair(&p);
}

static void an_echo_through_small_buffers_keeps_order_both_ways(void)
{
    pair p;
    int64_t fd;
    int size = 4096;
    /* Receive buffers stay above the loopback's segment size: below it the kernel itself waits 200 ms for each window. */
    open_pair_with(&p, 262144);
    CHECK_OK(ss_native_handle(p.socket, &fd));
    CHECK_EQ(setsockopt((int)fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    client_check_echo(p.loop, p.client, 20000000 / (size_t)slow_factor());
    CHECK_EQ(p.closes, 0);
    end_pair(&p);
}

/* ---- Closing ---- */

static void closing_flips_the_state_at_once_and_brings_no_event(void)
{
    pair p;
    char text[6] = "";
    open_pair(&p);
    client_send(p.loop, p.client, "unread", 6);
    PUMP_UNTIL(p.loop, p.loaded == 6);
    CHECK_OK(ss_socket_write_bytes(p.socket, "reply", 5));
    CHECK_OK(ss_socket_close(p.socket));
    check_not_open(p.socket); /* close a second time is among it */
    check_addresses(&p, port_of(p.client));
    client_receive(p.loop, p.client, text, 5);
    CHECK_TEXT(text, "reply");
    CHECK_EQ(client_end(p.loop, p.client), 0);
    close(p.client);
    p.client = -1;
    settle(p.loop);
    CHECK_EQ(p.closes + p.errors, 0);
    end_pair(&p);
}

typedef struct {
    ss_socket *sockets[2];
    int events[2];
} rivals;

static void close_the_other(ss_event *event, void *user_data)
{
    rivals *r = (rivals *)user_data;
    int self = ss_event_target(event) == (ss_object *)r->sockets[1];
    ++r->events[self];
    if (r->events[!self] == 0) CHECK_OK(ss_socket_close(r->sockets[!self]));
}

static void events_that_were_on_their_way_are_dropped_by_close(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    rivals r;
    int clients[2], i;
    memset(&r, 0, sizeof r);
    for (i = 0; i < 2; ++i) {
        r.sockets[i] = accept_client(loop, server, &clients[i]);
        CHECK_OK(ss_add_listener(r.sockets[i], SS_EVENT_SOCKET_DATA, close_the_other, &r, false, 0));
    }
    settle(loop);
    for (i = 0; i < 2; ++i) client_send(NULL, clients[i], "x", 1); /* both are ready in one turn; the first closes the second */
    PUMP_UNTIL(loop, r.events[0] + r.events[1] > 0);
    settle(loop);
    CHECK_EQ(r.events[0] + r.events[1], 1);
    for (i = 0; i < 2; ++i) close(clients[i]);
    CHECK_OK(ss_release(loop));
}

static void a_reply_is_not_cut_by_unread_input(void)
{
    const size_t question = 1000000, reply = 4000000;
    pair p;
    unsigned char *asked = new_pattern(question), *sent = new_pattern(reply), *got = (unsigned char *)malloc(reply);
    int end = -1;
    open_pair(&p);
    client_send(p.loop, p.client, asked, question); /* nobody reads it */
    CHECK_OK(ss_socket_write_bytes(p.socket, sent, reply));
    CHECK_OK(ss_socket_close(p.socket));
    CHECK_EQ(client_receive_some(p.loop, p.client, got, reply, &end), reply);
    CHECK_EQ(client_end(p.loop, p.client), 0);
    CHECK(memcmp(sent, got, reply) == 0);
    free(asked);
    free(sent);
    free(got);
    end_pair(&p);
}

static void a_reply_is_not_cut_by_input_that_comes_after_close(void)
{
    const size_t reply = 4000000;
    pair p;
    unsigned char *sent = new_pattern(reply), *got = (unsigned char *)malloc(reply);
    int end = -1;
    open_pair(&p);
    CHECK_OK(ss_socket_write_bytes(p.socket, sent, reply));
    CHECK_OK(ss_socket_close(p.socket));
    CHECK_OK(ss_release(p.socket)); /* nor by releasing the handle */
    CHECK_OK(ss_loop_poll(p.loop, 0, NULL));
    client_send(p.loop, p.client, sent, 20000);
    CHECK_EQ(client_receive_some(p.loop, p.client, got, reply, &end), reply);
    CHECK_EQ(client_end(p.loop, p.client), 0);
    CHECK(memcmp(sent, got, reply) == 0);
    free(sent);
    free(got);
    end_pair(&p);
}

static void write_much(ss_event *event, void *user_data)
{
    CHECK_OK(ss_socket_write_bytes((ss_socket *)ss_event_target(event), user_data, 5000000));
}

static void what_was_written_arrives_after_the_half_close_of_the_peer(void)
{
    const size_t reply = 5000000;
    pair p;
    unsigned char *sent = new_pattern(reply), *got = (unsigned char *)malloc(reply);
    open_pair_with(&p, 65536);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_SOCKET_DATA, write_much, sent, false, 0));
    client_send(NULL, p.client, "go", 2);
    CHECK_EQ(shutdown(p.client, SHUT_WR), 0);
    client_receive(p.loop, p.client, got, reply);
    CHECK_EQ(client_end(p.loop, p.client), 0);
    CHECK(memcmp(sent, got, reply) == 0);
    PUMP_UNTIL(p.loop, p.closes == 1);
    settle(p.loop);
    CHECK_EQ(p.closes, 1);
    CHECK_EQ(p.errors, 0);
    CHECK_OK(ss_socket_skip(p.socket, 2)); /* the request, which nobody has read */
    check_not_open(p.socket);
    free(sent);
    free(got);
    end_pair(&p);
}

static void write_at_close(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_write_bytes(socket, "x", 1));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_flush(socket));
    ++*(int *)user_data;
}

static void nothing_can_be_written_in_the_close_listener(void)
{
    pair p;
    int seen = 0;
    open_pair(&p);
    CHECK_OK(ss_add_listener(p.socket, SS_EVENT_CLOSE, write_at_close, &seen, false, 0));
    CHECK_EQ(shutdown(p.client, SHUT_WR), 0);
    PUMP_UNTIL(p.loop, seen == 1);
    CHECK_EQ(client_end(p.loop, p.client), 0);
    end_pair(&p);
}

static void releasing_the_last_reference_closes_after_sending(void)
{
    pair p;
    char text[6] = "";
    open_pair(&p);
    CHECK_OK(ss_socket_write_bytes(p.socket, "adieu", 5));
    CHECK_OK(ss_release(p.socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_socket_flush(p.socket));
    client_receive(p.loop, p.client, text, 5);
    CHECK_TEXT(text, "adieu");
    CHECK_EQ(client_end(p.loop, p.client), 0);
    CHECK_EQ(p.closes, 0);
    end_pair(&p);
}

static void abort_resets_and_drops_the_output(void)
{
    const size_t volume = 20000000;
    pair p;
    unsigned char *sent = new_pattern(volume), *got = (unsigned char *)malloc(volume);
    int end = -1;
    open_pair_with(&p, 16384);
    CHECK_OK(ss_socket_write_bytes(p.socket, sent, volume));
    settle(p.loop);
    CHECK_OK(ss_socket_abort(p.socket));
    check_not_open(p.socket);
    check_addresses(&p, port_of(p.client));
    CHECK(client_receive_some(p.loop, p.client, got, volume, &end) < volume);
    CHECK_EQ(end, reset_error());
    settle(p.loop);
    CHECK_EQ(p.closes + p.errors, 0);
    free(sent);
    free(got);
    end_pair(&p);
}

static void abort_of_an_idle_connection_is_a_reset_too(void)
{
    pair p;
    open_pair(&p);
    CHECK_OK(ss_socket_abort(p.socket));
    CHECK_EQ(client_end(p.loop, p.client), reset_error());
    end_pair(&p);
}

#ifndef _WIN32
/* Writes to a peer that is gone, without a turn of the loop that could tell of its end. */
static void write_to_the_gone(int by_reset)
{
    pair p;
    int i;
    open_pair(&p);
    if (by_reset)
        client_reset(p.client);
    else
        close(p.client);
    p.client = -1;
    /* After a close the first write is answered with a RST, and it is the second that would raise SIGPIPE. */
    for (i = 0; i < 10; ++i) {
        int32_t status = ss_socket_write_bytes(p.socket, "x", 1);
        CHECK(status == SS_OK || status == SS_ERR_IO);
        ss_socket_flush(p.socket);
    }
    PUMP_UNTIL(p.loop, p.closes == 1);
    CHECK_EQ(p.closes, 1);
    end_pair(&p);
}

static void sigpipe_never_reaches_the_host(void)
{
    struct sigaction disposition;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* from here on a SIGPIPE ends this process */
    write_to_the_gone(1);
    write_to_the_gone(0);
    CHECK_EQ(sigaction(SIGPIPE, NULL, &disposition), 0);
    CHECK(disposition.sa_handler == SIG_DFL);
}
#endif

/* ---- User data ---- */

static void give_user_data(ss_event *event, void *user_data)
{
    CHECK_OK(ss_set_user_data(ss_event_socket(event), user_data, count_call));
}

static void the_user_data_of_an_unretained_socket_is_destroyed_once(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int destroyed = 0, client;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, give_user_data, &destroyed, false, 0));
    client = client_connect(ss_local_port(server));
    CHECK_EQ(client_end(loop, client), 0);
    settle(loop);
    CHECK_EQ(destroyed, 1);
    close(client);
    CHECK_OK(ss_release(loop));
    CHECK_EQ(destroyed, 1);
}

static void user_data_lives_until_the_last_reference_not_until_the_close(void)
{
    pair p;
    int destroyed = 0, listeners = 0;
    open_pair(&p);
    CHECK_OK(ss_set_user_data(p.socket, &destroyed, count_call));
    CHECK_OK(ss_add_listener_full(p.socket, "x", count_event, &listeners, count_call, false, 0));
    close(p.client);
    p.client = -1;
    PUMP_UNTIL(p.loop, p.closes == 1);
    settle(p.loop);
    CHECK_EQ(destroyed + listeners, 0);
    CHECK(ss_user_data(p.socket) == &destroyed);
    CHECK_OK(ss_release(p.socket));
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(listeners, 1);
    end_pair(&p);
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(listeners, 1);
}

static void user_data_of_a_connected_socket_is_destroyed_once_with_its_loop(void)
{
    pair p;
    int destroyed = 0;
    open_pair(&p);
    CHECK_OK(ss_set_user_data(p.socket, &destroyed, count_call));
    CHECK_OK(ss_retain(p.socket));
    end_pair(&p);
    CHECK_EQ(destroyed, 1);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(a_new_socket_is_not_connected_and_refuses_data),
        CASE(addresses_stay_known_after_the_peer_is_gone_until_the_next_connect),
        CASE(data_events_count_the_new_bytes_and_unread_ones_stay),
        CASE(the_data_event_describes_itself),
        CASE(reading_more_than_there_is_consumes_nothing),
        CASE(null_buffers_are_refused_unless_empty),
        CASE(a_listener_need_not_read_everything),
        CASE(unread_bytes_survive_the_end_of_the_peer),
        CASE(unread_bytes_can_be_read_in_the_close_listener),
        CASE(all_data_comes_before_close_whatever_the_size),
        CASE(data_before_a_reset_is_delivered_and_one_close_follows),
        CASE(a_reset_that_loses_output_is_an_error_and_then_a_close),
        CASE(the_writes_of_one_listener_leave_together),
        CASE(written_bytes_leave_with_the_next_turn_or_with_flush),
        CASE(the_caller_may_change_its_buffer_after_a_write),
        CASE(output_progress_counts_what_is_sent_and_what_is_left),
        CASE(a_write_that_can_never_fit_is_out_of_range),
        CASE(an_empty_write_does_nothing),
        CASE(a_write_to_a_slow_reader_never_blocks_and_loses_nothing),
        CASE(an_echo_through_small_buffers_keeps_order_both_ways),
        CASE(closing_flips_the_state_at_once_and_brings_no_event),
        CASE(events_that_were_on_their_way_are_dropped_by_close),
        CASE(a_reply_is_not_cut_by_unread_input),
        CASE(a_reply_is_not_cut_by_input_that_comes_after_close),
        CASE(what_was_written_arrives_after_the_half_close_of_the_peer),
        CASE(nothing_can_be_written_in_the_close_listener),
        CASE(releasing_the_last_reference_closes_after_sending),
        CASE(abort_resets_and_drops_the_output),
        CASE(abort_of_an_idle_connection_is_a_reset_too),
        UNIX_CASE(sigpipe_never_reaches_the_host, "there are no signals"),
        CASE(the_user_data_of_an_unretained_socket_is_destroyed_once),
        CASE(user_data_lives_until_the_last_reference_not_until_the_close),
        CASE(user_data_of_a_connected_socket_is_destroyed_once_with_its_loop),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
