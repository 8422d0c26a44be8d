/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections of which one side has ended, and servers that drain, as printed programs meet them: an answer that comes after the
 * question's end, a proxy whose two sides end one after the other, a daemon that ends in peace. */
#include "check.h"

static void note_event(ss_event *event, void *user_data)
{
    strcat(strcat((char *)user_data, ss_event_type(event)), " ");
}

static void note_events(ss_socket *socket, char *told)
{
    CHECK_OK(ss_add_listener(socket, SS_EVENT_END, note_event, told, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, note_event, told, false, 0));
}

/* ---- An answer that comes later ---- */

/* What a worker has made, on the loop's thread. */
static void answer(void *user_data)
{
    ss_socket *socket = (ss_socket *)user_data;
    CHECK_OK(ss_socket_write_bytes(socket, "answer", 6));
    CHECK_OK(ss_socket_close(socket));
}

static void answer_later(ss_event *event, void *user_data)
{
    CHECK_OK(ss_loop_post((ss_loop *)user_data, answer, ss_event_target(event), NULL));
}

static void a_question_that_has_ended_is_answered_later(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int half_open;
    for (half_open = 0; half_open < 2; ++half_open) {
        char got[10], told[100] = "";
        int fd, error;
        size_t length;
        ss_socket *socket;
        CHECK_OK(ss_set_option(server, SS_OPT_HALF_OPEN, half_open));
        socket = accept_client(loop, server, &fd);
        note_events(socket, told);
        CHECK_OK(ss_add_listener(socket, SS_EVENT_END, answer_later, loop, false, 0));
        client_send(loop, fd, "question", 8);
        CHECK_EQ(shutdown(fd, SHUT_WR), 0);
        length = client_receive_some(loop, fd, got, sizeof got, &error);
        CHECK_EQ(error, 0);
        CHECK_EQ(length, half_open ? 6 : 0);
        CHECK_TEXT(told, half_open ? "end " : "close ");
        CHECK_EQ(close(fd), 0);
        CHECK_OK(ss_release(socket));
    }
    CHECK_OK(ss_release(loop));
}

static void a_shutdown_ends_our_side_alone(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    char told[100] = "", got[10];
    int fd, error;
    ss_socket *socket = accept_client(loop, server, &fd);
    note_events(socket, told);
    CHECK_OK(ss_socket_write_bytes(socket, "that was all", 12));
    CHECK_OK(ss_socket_shutdown(socket));
    CHECK_OK(ss_socket_shutdown(socket));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, 0, ss_socket_write_bytes(socket, "late", 4));
    CHECK_EQ(client_receive_some(loop, fd, got, 10, &error), 10);
    CHECK_EQ(client_end(loop, fd), 0);
    CHECK(ss_socket_connected(socket));
    client_send(loop, fd, "more", 4);
    PUMP_UNTIL(loop, ss_socket_bytes_available(socket) == 4);
    CHECK_EQ(close(fd), 0);
    PUMP_UNTIL(loop, !ss_socket_connected(socket));
    CHECK_TEXT(told, "close ");
    CHECK_FAILS(SS_ERR_IO, AIR_2002, 0, ss_socket_shutdown(socket));
    CHECK_OK(ss_release(socket));
    CHECK_OK(ss_release(loop));
}

/* ---- A proxy ---- */

static ss_socket *other_of(ss_event *event)
{
    return (ss_socket *)ss_user_data(ss_event_target(event));
}

/* The one side's reading waits for the other side's writing. */
static void carry(ss_event *event, void *user_data)
{
    ss_socket *from = (ss_socket *)ss_event_target(event), *to = other_of(event);
    size_t length;
    const uint8_t *bytes = ss_socket_take(from, &length);
    (void)user_data;
    CHECK_OK(ss_socket_write_bytes(to, bytes, length));
    if (ss_socket_bytes_pending(to) > 100000) CHECK_OK(ss_socket_pause(from));
}

static void go_on(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_event_bytes_pending(event) == 0 && ss_socket_connected(other_of(event))) CHECK_OK(ss_socket_resume(other_of(event)));
}

static void end_the_other_side(ss_event *event, void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_socket_shutdown(other_of(event)));
}

static void pass_on(ss_socket *from, ss_socket *to, int *closes)
{
    CHECK_OK(ss_set_option(from, SS_OPT_HALF_OPEN, 1));
    CHECK_OK(ss_set_user_data(from, to, NULL));
    CHECK_OK(ss_add_listener(from, SS_EVENT_SOCKET_DATA, carry, NULL, false, 0));
    CHECK_OK(ss_add_listener(from, SS_EVENT_OUTPUT_PROGRESS, go_on, NULL, false, 0));
    CHECK_OK(ss_add_listener(from, SS_EVENT_END, end_the_other_side, NULL, false, 0));
    CHECK_OK(ss_add_listener(from, SS_EVENT_CLOSE, count_event, closes, false, 0));
}

/* The client ends its side before the upstream has said a word, which answers when it has met that end, twenty megabytes, and ends.
 * Both take four kilobytes at a time. */
static void a_proxy_passes_both_ends_on(void)
{
    enum { MUCH = 20000000 };
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop), *upstream = new_listening_server(loop);
    ss_socket *client_side, *upstream_side = ss_socket_new(loop), *answering = NULL;
    unsigned char *question = new_pattern(MUCH), *bytes = (unsigned char *)malloc(MUCH);
    int fd, error, closes = 0, connects = 0;
    size_t got = 0, sent = 0;
    int64_t end = now_ms() + patience_ms();
    CHECK(bytes != NULL);
    CHECK_OK(ss_add_listener(upstream, SS_EVENT_CONNECT, keep_socket, &answering, false, 0));
    CHECK_OK(ss_set_option(upstream, SS_OPT_HALF_OPEN, 1));
    CHECK_OK(ss_set_option(upstream, SS_OPT_READ_LIMIT, MUCH));
    CHECK_OK(ss_set_option(server, SS_OPT_READ_LIMIT, 4096));
    client_side = accept_client_with(loop, server, 4096, &fd);
    CHECK_OK(ss_add_listener(upstream_side, SS_EVENT_CONNECT, count_event, &connects, false, 0));
    CHECK_OK(ss_set_option(upstream_side, SS_OPT_READ_LIMIT, 4096));
    CHECK_OK(ss_socket_connect(upstream_side, "127.0.0.1", ss_local_port(upstream)));
    PUMP_UNTIL(loop, connects == 1 && answering != NULL);
    pass_on(client_side, upstream_side, &closes);
    pass_on(upstream_side, client_side, &closes);
    while (sent < MUCH) {
        ssize_t n = send(fd, question + sent, MUCH - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        CHECK(n > 0 || is_temporary(errno));
        CHECK_OK(ss_loop_poll(loop, 0, NULL));
        CHECK(now_ms() < end);
    }
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    PUMP_UNTIL(loop, ss_socket_bytes_available(answering) == MUCH);
    CHECK_OK(ss_socket_read_bytes(answering, bytes, MUCH));
    CHECK(memcmp(bytes, question, MUCH) == 0);
    CHECK_OK(ss_socket_write_bytes(answering, bytes, MUCH));
    CHECK_OK(ss_socket_shutdown(answering));
    memset(bytes, 0, MUCH);
    got = client_receive_some(loop, fd, bytes, MUCH, &error);
    CHECK(got == MUCH && memcmp(bytes, question, MUCH) == 0);
    CHECK_EQ(client_end(loop, fd), 0);
    PUMP_UNTIL(loop, closes == 2 && !ss_socket_connected(answering));
    CHECK_EQ(close(fd), 0);
    free(question);
    free(bytes);
    CHECK_OK(ss_release(loop));
}

/* ---- The time of a peer ---- */

static void note_error(ss_event *event, void *user_data)
{
    *(int *)user_data = ss_event_os_error(event);
}

static void a_peer_that_says_nothing_is_given_up(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int fd, error = 0, closes = 0;
    int64_t time = 0;
    ss_socket *socket = accept_client(loop, server, &fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, note_error, &error, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    CHECK_OK(ss_set_option(socket, SS_OPT_READ_TIMEOUT, 100));
    CHECK_OK(ss_get_option(socket, SS_OPT_READ_TIMEOUT, &time));
    CHECK_EQ(time, 100);
    while (closes == 0) {
        CHECK_OK(ss_loop_poll(loop, 10, NULL));
        if (ss_socket_connected(socket)) CHECK_OK(ss_socket_write_bytes(socket, ".", 1));
    }
    CHECK_EQ(error, ETIMEDOUT);
    CHECK_EQ(close(fd), 0);
    CHECK_OK(ss_release(loop));
}

/* ---- A server that drains ---- */

static void note_close(ss_event *event, void *user_data)
{
    CHECK_EQ(*(int *)user_data, -1);
    *(int *)user_data = ss_event_os_error(event);
}

static void a_daemon_ends_in_peace(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int32_t port = ss_local_port(server);
    int first = client_connect(port), second, accepted = 0, closed = -1;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, note_close, &closed, false, 0));
    PUMP_UNTIL(loop, accepted == 1);
    second = client_connect(port); /* waits in the system's queue */
    CHECK_OK(ss_drain(server, 1000000));
    PUMP_UNTIL(loop, accepted == 2);
    settle(loop);
    CHECK(!ss_bound(server) && client_try_connect("127.0.0.1", port, 0) < 0);
    client_check_echo(loop, first, 1000);
    client_check_echo(loop, second, 1000);
    CHECK_EQ(close(first), 0);
    settle(loop);
    CHECK_EQ(closed, -1);
    CHECK_EQ(close(second), 0);
    PUMP_UNTIL(loop, closed != -1);
    CHECK_EQ(closed, 0);
    CHECK_FAILS(SS_ERR_ERROR, AIR_2002, 0, ss_drain(server, 0));
    CHECK_OK(ss_release(loop));
}

static void a_daemon_whose_time_is_over_resets_the_rest(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int fd, closed = -1, error = 0;
    ss_socket *socket = accept_client(loop, server, &fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, note_error, &error, false, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, note_close, &closed, false, 0));
    CHECK_OK(ss_drain(server, 30));
    CHECK_OK(ss_loop_run(loop));
    CHECK_EQ(closed, ETIMEDOUT);
    CHECK_EQ(error, ETIMEDOUT);
    CHECK_EQ(client_end(NULL, fd), reset_error());
    CHECK_EQ(close(fd), 0);
    CHECK_OK(ss_release(loop));
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(a_question_that_has_ended_is_answered_later),
        CASE(a_shutdown_ends_our_side_alone),
        CASE(a_proxy_passes_both_ends_on),
        CASE(a_peer_that_says_nothing_is_given_up),
        CASE(a_daemon_ends_in_peace),
        CASE(a_daemon_whose_time_is_over_resets_the_rest),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
