/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What printed programs do at the end of a connection and of themselves: say who has left, connect again to where they were,
 * return from main with something still unsent. */
#include "check.h"

/* ---- Texts of the library's ---- */

typedef struct {
    char goodbye[100];
    const char *address; /* asked for while the connection lived */
    int closes;
} guest;

/* The line that everybody writes. */
static void say_goodbye(ss_event *event, void *user_data)
{
    guest *g = (guest *)user_data;
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    CHECK(ss_socket_remote_address(socket) != NULL);
    snprintf(g->goodbye, sizeof g->goodbye, "%s:%d has left", ss_socket_remote_address(socket), (int)ss_socket_remote_port(socket));
    CHECK_TEXT(g->address, "127.0.0.1");
    ++g->closes;
    CHECK_OK(ss_release(socket));
}

static void who_has_left_can_be_said_in_the_close_listener(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int reset;
    for (reset = 0; reset < 2; ++reset) {
        guest g = {"", NULL, 0};
        char expected[100];
        int fd;
        ss_socket *socket = accept_client(loop, server, &fd);
        g.address = ss_socket_remote_address(socket);
        CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, say_goodbye, &g, false, 0));
        snprintf(expected, sizeof expected, "127.0.0.1:%d has left", (int)port_of(fd));
        if (reset) {
            client_reset(fd);
        } else {
            CHECK_EQ(close(fd), 0);
        }
        PUMP_UNTIL(loop, g.closes == 1);
        CHECK_TEXT(g.goodbye, expected);
    }
    CHECK_OK(ss_release(loop));
}

/* Where the server listens at all addresses, only the connection knows at which end of it the peer was. */
static void say_where(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    snprintf((char *)user_data, 100, "%s:%d", ss_socket_local_address(socket), (int)ss_socket_local_port(socket));
}

static void where_it_was_can_be_said_in_the_close_listener_and_later(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    char where[100] = "", expected[100];
    ss_socket *socket;
    int fd;
    CHECK_OK(ss_bind(server, 0, "0.0.0.0"));
    CHECK_OK(ss_listen(server, 0));
    socket = accept_client(loop, server, &fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, say_where, where, false, 0));
    snprintf(expected, sizeof expected, "127.0.0.1:%d", (int)ss_local_port(server));
    CHECK_EQ(close(fd), 0);
    PUMP_UNTIL(loop, where[0] != '\0');
    CHECK_TEXT(where, expected);
    CHECK_TEXT(ss_socket_local_address(socket), "127.0.0.1");
    CHECK_OK(ss_release(loop));
}

enum { ROUNDS = 5 };

static void connect_again(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    if (++*(int *)user_data == ROUNDS) return;
    CHECK_OK(ss_socket_connect(socket, ss_socket_remote_address(socket), ss_socket_remote_port(socket)));
}

static void a_socket_connects_again_to_the_address_that_it_tells(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *socket = ss_socket_new(loop);
    int connects = 0, errors = 0, accepted = 0;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CONNECT, connect_again, &connects, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, count_event, &errors, false, 0));
    CHECK_OK(ss_socket_connect(socket, ss_local_address(server), ss_local_port(server)));
    PUMP_UNTIL(loop, connects == ROUNDS || errors > 0);
    CHECK_EQ(errors, 0);
    PUMP_UNTIL(loop, accepted == ROUNDS);
    CHECK_OK(ss_release(loop));
}

/* ---- Processes that end ---- */

#ifndef _WIN32
typedef enum { WRITTEN, FLUSHED, CLOSED, RELEASED, WAYS } way;

static const char *const way_names[] = {"written", "flushed", "closed", "released"};

/* A program whose main accepts one peer on the thread's own loop, writes and returns. */
static void program(way how, size_t size, int tell)
{
    ss_server *server = new_listening_server(NULL);
    ss_socket *socket = NULL;
    unsigned char *bytes = new_pattern(size);
    int32_t port = ss_local_port(server);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    CHECK_EQ(write(tell, &port, sizeof port), sizeof port);
    PUMP_UNTIL(NULL, socket != NULL);
    CHECK_OK(ss_socket_write_bytes(socket, bytes, size));
    free(bytes);
    switch (how) {
    case FLUSHED: CHECK_OK(ss_socket_flush(socket)); break;
    case CLOSED: CHECK_OK(ss_socket_close(socket)); break;
    case RELEASED: CHECK_OK(ss_release(socket)); break;
    default: break;
    }
    exit(0); /* what returning from main does */
}

static int run_program(way how, size_t size, size_t *received)
{
    int ends[2], status = 0, fd, error;
    int32_t port;
    unsigned char *sent, *bytes;
    pid_t child;
    snprintf(check_context, sizeof check_context, "%s, %lu bytes", way_names[how], (unsigned long)size);
    CHECK_EQ(pipe(ends), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) program(how, size, ends[1]);
    CHECK_EQ(read(ends[0], &port, sizeof port), sizeof port);
    fd = client_connect(port);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    sent = new_pattern(size);
    bytes = (unsigned char *)malloc(size + 1);
    CHECK(bytes != NULL);
    *received = client_receive_some(NULL, fd, bytes, size + 1, &error);
    CHECK(*received <= size);
    CHECK_EQ(memcmp(bytes, sent, *received), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    free(bytes);
    free(sent);
    return error;
}

static void what_was_written_is_sent_when_main_returns(void)
{
    static const size_t sizes[] = {5, 1000, 100000};
    size_t received, i;
    int how;
    for (how = WRITTEN; how < WAYS; ++how) {
        for (i = 0; i < COUNT_OF(sizes); ++i) {
            CHECK_EQ(run_program((way)how, sizes[i], &received), 0);
            CHECK_EQ(received, sizes[i]);
        }
    }
}

/* It returns from its main with all that it has inherited, and the parent's peers notice nothing. */
static void a_child_that_ends_disturbs_nothing_of_its_parents(void)
{
    ss_loop *loop = new_loop(); /* which ends with its thread, if nobody ends it before */
    ss_server *server = new_listening_server(loop);
    int accepted = 0, status = 0, old, fresh;
    pid_t child;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    old = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, accepted == 1);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) exit(0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status)); /* its number is valgrind's there: what was inherited is left as it is, and not freed */
    client_check_echo(loop, old, 1000);
    fresh = client_connect(ss_local_port(server));
    client_check_echo(loop, fresh, 1000);
    CHECK_EQ(close(old), 0);
    CHECK_EQ(close(fresh), 0);
    CHECK_OK(ss_release(loop));
}

/* More than the system takes: the peer must not believe that it was all. */
static void what_is_cut_when_main_returns_ends_in_a_reset(void)
{
    size_t received, size = 20000000;
    int how;
    for (how = WRITTEN; how < WAYS; ++how) {
        CHECK_EQ(run_program((way)how, size, &received), reset_error());
        CHECK(received < size);
    }
}
#endif

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(who_has_left_can_be_said_in_the_close_listener),
        CASE(where_it_was_can_be_said_in_the_close_listener_and_later),
        CASE(a_socket_connects_again_to_the_address_that_it_tells),
        UNIX_CASE(what_was_written_is_sent_when_main_returns, "it forks"),
        UNIX_CASE(a_child_that_ends_disturbs_nothing_of_its_parents, "it forks"),
        UNIX_CASE(what_is_cut_when_main_returns_ends_in_a_reset, "it forks"),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
