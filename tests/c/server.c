/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ServerSocket through the C interface: its chapter of docs/SEMANTICS.md. */
#include "check.h"

#include <limits.h>
#ifndef _WIN32
#include <net/if.h>
#endif

/* ---- Helpers ---- */

static void check_unbound(ss_server *server)
{
    CHECK(!ss_bound(server));
    CHECK(!ss_listening(server));
    CHECK_TEXT(ss_local_address(server), NULL);
    CHECK_EQ(ss_local_port(server), 0);
}

/* The server still does its work: a new client is accepted. */
static void check_accepts(ss_loop *loop, ss_server *server)
{
    int client;
    ss_socket *socket = accept_client(loop, server, &client);
    CHECK(ss_socket_connected(socket));
    CHECK_OK(ss_release(socket));
    close(client);
}

/* A port on 127.0.0.1 that a plain socket holds, bound only or listening. */
static int hold_port(int listening, int32_t *port)
{
    struct sockaddr_storage storage;
    int fd = new_tcp_socket(AF_INET);
    CHECK_EQ(bind(fd, (struct sockaddr *)&storage, socket_address(&storage, "127.0.0.1", 0)), 0);
    if (listening) CHECK_EQ(listen(fd, 1), 0);
    *port = port_of(fd);
    return fd;
}

static int have_ipv6(void)
{
    struct sockaddr_storage storage;
    int fd = socket(AF_INET6, SOCK_STREAM, 0), usable;
    if (fd < 0) return 0;
    usable = bind(fd, (struct sockaddr *)&storage, socket_address(&storage, "::1", 0)) == 0;
    close(fd);
    return usable;
}

#ifndef _WIN32
static int read_number(const char *path, long *value)
{
    FILE *file = fopen(path, "re");
    int found = file && fscanf(file, "%ld", value) == 1;
    if (file) fclose(file);
    return found;
}
#endif

/* ---- Library ---- */

static void the_library_names_itself(void)
{
    CHECK(ss_is_supported());
    CHECK_EQ(ss_version(), SS_VERSION_MAJOR << 16 | SS_VERSION_MINOR << 8 | SS_VERSION_PATCH);
    CHECK_TEXT(ss_status_name(SS_ERR_RANGE), "RangeError");
    CHECK_TEXT(ss_status_name(SS_ERR_HANDLE), "InvalidHandle");
    CHECK(ss_status_name(12345) != NULL);
    CHECK(ss_status_name(-1) != NULL);
}

static void before_any_failure_the_last_error_is_empty(void)
{
    CHECK_TEXT(ss_last_error_message(), "");
    CHECK_EQ(ss_last_error_id(), 0);
    CHECK_EQ(ss_last_os_error(), 0);
}

/* ---- new, bind ---- */

static void a_new_server_is_unbound_and_owns_no_descriptor(void)
{
    ss_loop *loop = new_loop();
    int before = count_descriptors();
    ss_server *server = ss_new(loop);
    CHECK(server != NULL);
    check_unbound(server);
    CHECK_EQ(count_descriptors(), before);
    CHECK_OK(ss_release(loop));
}

static void bind_defaults_to_every_ipv4_address(void)
{
    static const char *const defaults[] = {NULL, "", "0.0.0.0"};
    ss_loop *loop = new_loop();
    size_t i;
    for (i = 0; i < COUNT_OF(defaults); ++i) {
        ss_server *server = ss_new(loop);
        CHECK_OK(ss_bind(server, 0, defaults[i]));
        CHECK_TEXT(ss_local_address(server), "0.0.0.0");
        CHECK_OK(ss_listen(server, 0));
        check_accepts(loop, server);
    }
    CHECK_OK(ss_release(loop));
}

static void after_bind_the_real_port_and_address_are_known_at_once(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    int64_t fd = -1;
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK(ss_bound(server));
    CHECK(!ss_listening(server));
    CHECK_TEXT(ss_local_address(server), "127.0.0.1");
    CHECK(ss_local_port(server) > 0);
    CHECK_OK(ss_native_handle(server, &fd));
    CHECK_EQ(ss_local_port(server), port_of((int)fd));
    CHECK_OK(ss_release(loop));
}

static void bind_takes_the_port_that_was_asked_for(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    int32_t port;
    close(hold_port(0, &port));
    CHECK_OK(ss_bind(server, port, "127.0.0.1"));
    CHECK_EQ(ss_local_port(server), port);
    CHECK_OK(ss_release(loop));
}

static void count_v6(ss_event *event, void *user_data)
{
    CHECK_TEXT(ss_socket_remote_address(ss_event_socket(event)), "::1");
    ++*(int *)user_data;
}

static void count_v4(ss_event *event, void *user_data)
{
    CHECK_TEXT(ss_socket_remote_address(ss_event_socket(event)), "127.0.0.1");
    ++*(int *)user_data;
}

static void the_ipv6_wildcard_takes_no_ipv4(void)
{
    ss_loop *loop;
    ss_server *six, *four;
    int sixes = 0, fours = 0, client6, client4;
    if (!have_ipv6()) {
        skip_case("this machine has no IPv6");
        return;
    }
    loop = new_loop();
    six = ss_new(loop);
    four = ss_new(loop);
    CHECK_OK(ss_bind(six, 0, "::"));
    CHECK_TEXT(ss_local_address(six), "::");
    CHECK_OK(ss_bind(four, ss_local_port(six), "0.0.0.0"));
    CHECK_OK(ss_listen(six, 0));
    CHECK_OK(ss_listen(four, 0));
    CHECK_OK(ss_add_listener(six, SS_EVENT_CONNECT, count_v6, &sixes, false, 0));
    CHECK_OK(ss_add_listener(four, SS_EVENT_CONNECT, count_v4, &fours, false, 0));
    client6 = client_try_connect("::1", ss_local_port(six), 0);
    client4 = client_connect(ss_local_port(six));
    CHECK(client6 >= 0);
    PUMP_UNTIL(loop, sixes + fours == 2);
    CHECK_EQ(sixes, 1);
    CHECK_EQ(fours, 1);

    CHECK_OK(ss_close(four));
    CHECK_EQ(client_try_connect("127.0.0.1", ss_local_port(six), 0), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    close(client6);
    close(client4);
    CHECK_OK(ss_release(loop));
}

#ifndef _WIN32
static void scoped_ipv6_addresses_are_well_formed(void)
{
    ss_loop *loop;
    ss_server *server;
    if (!have_ipv6() || if_nametoindex("lo") == 0) {
        skip_case("this machine has no IPv6 on lo");
        return;
    }
    loop = new_loop();
    server = ss_new(loop);
    /* No such address on lo, so the system refuses: but as an address, not as a malformed text. */
    CHECK_FAILS(SS_ERR_IO, AIR_2002, EADDRNOTAVAIL, ss_bind(server, 0, "fe80::1234:5678%lo"));
    CHECK_FAILS(SS_ERR_ARGUMENT, AIR_2004, 0, ss_bind(server, 0, "fe80::1234:5678%nosuchif"));
    check_unbound(server);
    CHECK_OK(ss_release(loop));
}
#endif

static void a_port_out_of_range_is_a_range_error_before_all_else(void)
{
    static const int32_t ports[] = {-1, 65536, INT32_MIN, INT32_MAX};
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop), *bound = ss_new(loop);
    size_t i;
    int32_t port;
    CHECK_OK(ss_bind(bound, 0, "127.0.0.1"));
    port = ss_local_port(bound);
    for (i = 0; i < COUNT_OF(ports); ++i) {
        CHECK_FAILS(SS_ERR_RANGE, AIR_2003, 0, ss_bind(server, ports[i], "127.0.0.1"));
        CHECK_FAILS(SS_ERR_RANGE, AIR_2003, 0, ss_bind(server, ports[i], "no address"));
        check_unbound(server);
        CHECK_FAILS(SS_ERR_RANGE, AIR_2003, 0, ss_bind(bound, ports[i], "127.0.0.1"));
        CHECK_EQ(ss_local_port(bound), port);
    }
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_release(loop));
}

static void a_malformed_address_is_an_argument_error(void)
{
    static const char *const addresses[] = {
        "localhost", "example.com", "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.01", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\n",
        " ", "127.0.0.1:80", "127.0.0.256", "1.2.3", "1.2.3.4.5", "1.2.3.", "-1.2.3.4", "127.0.0.1%lo", "[::1]", "::1 ", " ::1",
        ":", ":::", "1::2::3", "::g", "::12345", "1:2:3:4:5:6:7:8:9", "::1%", "::1%nosuchif", "%lo", "::1/128", "*", "\xff\xfe",
        "127.0.0.\xd9\xa1", "%s%s%n",
    };
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    static char endless[100001];
    size_t i;
    for (i = 0; i < COUNT_OF(addresses); ++i) {
        snprintf(check_context, sizeof check_context, "address \"%s\"", addresses[i]);
        CHECK_FAILS(SS_ERR_ARGUMENT, AIR_2004, 0, ss_bind(server, 0, addresses[i]));
        check_unbound(server);
    }
    memset(endless, '1', sizeof endless - 1);
    CHECK_FAILS(SS_ERR_ARGUMENT, AIR_2004, 0, ss_bind(server, 0, endless));
    check_unbound(server);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_release(loop));
}

static void an_address_of_another_machine_is_an_io_error_and_bind_may_be_tried_again(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    int descriptors = count_descriptors();
    CHECK_FAILS(SS_ERR_IO, AIR_2002, EADDRNOTAVAIL, ss_bind(server, 0, "192.0.2.1"));
    check_unbound(server);
    CHECK_EQ(count_descriptors(), descriptors);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_listen(server, 0));
    check_accepts(loop, server);
    CHECK_OK(ss_release(loop));
}

#ifndef _WIN32
static void a_privileged_port_is_an_io_error(void)
{
    ss_loop *loop;
    ss_server *server;
    long first_free = 1024;
    int root = geteuid() == 0;
    int32_t status;
    read_number("/proc/sys/net/ipv4/ip_unprivileged_port_start", &first_free);
    if (first_free <= 1) {
        skip_case("this machine has no privileged ports");
        return;
    }
    loop = new_loop();
    server = ss_new(loop);
    if (root) CHECK_EQ(seteuid(65534), 0);
    status = ss_bind(server, 1, "127.0.0.1");
    if (root) CHECK_EQ(seteuid(0), 0);
    CHECK_FAILS(SS_ERR_IO, AIR_2002, EACCES, status);
    check_unbound(server);
    CHECK_OK(ss_release(loop));
}
#endif

/* ---- A port in use ---- */

static void a_port_in_use_fails_in_bind_and_leaves_the_first_server_undisturbed(void)
{
    ss_loop *loop = new_loop();
    ss_server *first = new_listening_server(loop), *second = ss_new(loop);
    int32_t port = ss_local_port(first);
    static const char *const addresses[] = {"127.0.0.1", "0.0.0.0", NULL};
    size_t i;
    for (i = 0; i < COUNT_OF(addresses); ++i) {
        CHECK_FAILS(SS_ERR_IO, AIR_2002, EADDRINUSE, ss_bind(second, port, addresses[i]));
        check_unbound(second);
        check_accepts(loop, first);
    }
    CHECK_OK(ss_bind(second, 0, "127.0.0.1"));
    CHECK_OK(ss_listen(second, 0));
    check_accepts(loop, second);
    check_accepts(loop, first);
    CHECK_OK(ss_release(loop));
}

static void a_port_that_is_bound_but_not_listening_is_in_use(void)
{
    ss_loop *loop = new_loop();
    ss_server *first = ss_new(loop), *second = ss_new(loop);
    CHECK_OK(ss_bind(first, 0, "127.0.0.1"));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, EADDRINUSE, ss_bind(second, ss_local_port(first), "127.0.0.1"));
    check_unbound(second);
    CHECK_OK(ss_listen(first, 0));
    check_accepts(loop, first);
    CHECK_OK(ss_release(loop));
}

static void a_port_of_another_program_is_in_use_bound_or_listening(void)
{
    int listening;
    for (listening = 0; listening <= 1; ++listening) {
        ss_loop *loop = new_loop();
        ss_server *server = ss_new(loop);
        int32_t port;
        int holder = hold_port(listening, &port);
        CHECK_FAILS(SS_ERR_IO, AIR_2002, EADDRINUSE, ss_bind(server, port, "127.0.0.1"));
        check_unbound(server);
        close(holder);
        CHECK_OK(ss_bind(server, port, "127.0.0.1"));
        CHECK_OK(ss_release(loop));
    }
}

static void a_port_rebinds_at_once_in_time_wait_and_beside_a_living_child(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int32_t port = ss_local_port(server);
    int waiting, living, round;
    ss_socket *closed_first = accept_client(loop, server, &waiting);
    ss_socket *child = accept_client(loop, server, &living);
    /* The side that closes first waits: here the server's. */
    CHECK_OK(ss_socket_close(closed_first));
    CHECK_EQ(client_end(loop, waiting), 0);
    close(waiting);
    settle(loop);
    for (round = 0; round < 3; ++round) {
        CHECK_OK(ss_close(server));
        CHECK_OK(ss_release(server));
        server = ss_new(loop);
        CHECK_OK(ss_bind(server, port, "127.0.0.1"));
        CHECK_OK(ss_listen(server, 0));
        check_accepts(loop, server);
    }
    CHECK(ss_socket_connected(child));
    close(living);
    CHECK_OK(ss_release(loop));
}

static void binding_twice_is_an_io_error_and_keeps_the_first_binding(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    int32_t port;
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    port = ss_local_port(server);
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_bind(server, 0, "127.0.0.1"));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_bind(server, port, NULL));
    CHECK(ss_bound(server));
    CHECK_EQ(ss_local_port(server), port);
    CHECK_TEXT(ss_local_address(server), "127.0.0.1");
    CHECK_OK(ss_listen(server, 0));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_bind(server, 0, "127.0.0.1"));
    CHECK(ss_listening(server));
    CHECK_EQ(ss_local_port(server), port);
    check_accepts(loop, server);
    CHECK_OK(ss_release(loop));
}

/* ---- listen ---- */

static void listening_unbound_is_an_io_error(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_listen(server, 0));
    check_unbound(server);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_release(loop));
}

static void a_negative_backlog_is_a_range_error(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_listen(server, -1));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_listen(server, INT32_MIN));
    CHECK(ss_bound(server));
    CHECK(!ss_listening(server));
    CHECK_OK(ss_listen(server, 0));
    CHECK_FAILS(SS_ERR_RANGE, AIR_2006, 0, ss_listen(server, -1));
    CHECK(ss_listening(server));
    check_accepts(loop, server);
    CHECK_OK(ss_close(server));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_listen(server, -1)); /* closed comes before the backlog */
    CHECK_OK(ss_release(loop));
}

#ifdef __linux__
/* The backlog that the kernel holds for a listening socket; -1 under an emulator that passes only part of it on. */
static long backlog_of(ss_server *server)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    int64_t fd;
    CHECK_OK(ss_native_handle(server, &fd));
    CHECK_EQ(getsockopt((int)fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return length < sizeof info / 2 ? -1 : (long)info.tcpi_sacked;
}
#endif

static void backlog_zero_and_a_huge_one_mean_the_maximum_of_the_system(void)
{
#ifdef __linux__
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    long maximum = 0;
    CHECK(read_number("/proc/sys/net/core/somaxconn", &maximum));
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_listen(server, 0));
    if (backlog_of(server) < 0) {
        skip_case("the emulator does not tell the backlog of a socket");
        CHECK_OK(ss_release(loop));
        return;
    }
    CHECK_EQ(backlog_of(server), maximum);
    CHECK_OK(ss_listen(server, 7));
    CHECK_EQ(backlog_of(server), 7);
    CHECK_OK(ss_listen(server, INT32_MAX));
    CHECK_EQ(backlog_of(server), maximum);
    CHECK_OK(ss_release(loop));
#else
    skip_case("only Linux tells the backlog of a socket");
#endif
}

static void fifty_clients_wait_in_the_queue_of_backlog_zero(void)
{
    enum { CLIENTS = 50 };
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int clients[CLIENTS], i, accepted = 0;
    for (i = 0; i < CLIENTS; ++i) clients[i] = client_connect(ss_local_port(server));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &accepted, false, 0));
    PUMP_UNTIL(loop, accepted == CLIENTS);
    settle(loop);
    CHECK_EQ(accepted, CLIENTS);
    for (i = 0; i < CLIENTS; ++i) close(clients[i]);
    CHECK_OK(ss_release(loop));
}

static void listening_again_keeps_the_queue_and_brings_no_event(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int accepted = 0, client;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &accepted, false, 0));
    client = client_connect(ss_local_port(server));
    CHECK_OK(ss_listen(server, 50));
    CHECK_EQ(accepted, 0); /* listeners run in the turns of the loop only */
    CHECK(ss_listening(server));
    PUMP_UNTIL(loop, accepted == 1);
    close(client);
    CHECK_OK(ss_release(loop));
}

/* ---- Accepting ---- */

static void without_a_connect_listener_peers_wait_until_one_is_added(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int closes = 0, accepted = 0, client;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    client = client_connect(ss_local_port(server));
    settle(loop);
    CHECK(client_is_idle(client)); /* neither accepted and dropped, nor refused */
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &accepted, false, 0));
    PUMP_UNTIL(loop, accepted == 1);
    CHECK_EQ(closes, 0);
    close(client);
    CHECK_OK(ss_release(loop));
}

static void accepting_stops_only_when_the_last_connect_listener_is_removed(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int one = 0, two = 0, client, waiting;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &one, false, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &two, false, 0));
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, count_event, &one, false));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, two == 1);
    CHECK_EQ(one, 0);

    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, count_event, &two, false));
    waiting = client_connect(ss_local_port(server));
    settle(loop);
    CHECK(client_is_idle(waiting));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &one, false, 0));
    PUMP_UNTIL(loop, one == 1);
    CHECK_EQ(two, 1);
    close(client);
    close(waiting);
    CHECK_OK(ss_release(loop));
}

typedef struct {
    ss_server *server;
    int32_t client_port;
    int events;
    int connects_on_socket;
} fields;

static void check_connect_fields(ss_event *event, void *user_data)
{
    fields *expected = (fields *)user_data;
    ss_socket *socket = ss_event_socket(event);
    char text[200];
    const char *description = "[ServerSocketConnectEvent type=\"connect\" bubbles=false cancelable=false socket=[object Socket]]";
    ++expected->events;
    CHECK_TEXT(ss_event_type(event), "connect");
    CHECK(!ss_event_bubbles(event));
    CHECK(!ss_event_cancelable(event));
    CHECK_EQ(ss_event_phase(event), SS_PHASE_AT_TARGET);
    CHECK(ss_event_target(event) == (ss_object *)expected->server);
    CHECK(ss_event_current_target(event) == (ss_object *)expected->server);
    CHECK_EQ(ss_event_to_string(event, text, sizeof text), strlen(description));
    CHECK_TEXT(text, description);
    CHECK(socket != NULL);
    CHECK(ss_socket_connected(socket));
    CHECK_TEXT(ss_socket_remote_address(socket), "127.0.0.1");
    CHECK_TEXT(ss_socket_local_address(socket), "127.0.0.1");
    CHECK_EQ(ss_socket_remote_port(socket), expected->client_port);
    CHECK_EQ(ss_socket_local_port(socket), ss_local_port(expected->server));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CONNECT, count_event, &expected->connects_on_socket, false, 0));
    CHECK_OK(ss_retain(socket));
}

static void the_connect_event_carries_a_connected_socket_which_gets_none_itself(void)
{
    ss_loop *loop = new_loop();
    fields expected;
    int client;
    memset(&expected, 0, sizeof expected);
    expected.server = ss_new(loop);
    CHECK_OK(ss_bind(expected.server, 0, NULL)); /* the wildcard: the socket knows its own address all the same */
    CHECK_OK(ss_listen(expected.server, 0));
    CHECK_OK(ss_add_listener(expected.server, SS_EVENT_CONNECT, check_connect_fields, &expected, false, 0));
    client = client_connect(ss_local_port(expected.server));
    expected.client_port = port_of(client);
    PUMP_UNTIL(loop, expected.events == 1);
    settle(loop);
    CHECK_EQ(expected.events, 1);
    CHECK_EQ(expected.connects_on_socket, 0);
    close(client);
    CHECK_OK(ss_release(loop));
}

enum { QUEUED = 30 };

typedef struct {
    ss_server *server;
    int count;
    int32_t ports[QUEUED];
} arrivals;

static void record_arrival(ss_event *event, void *user_data)
{
    arrivals *seen = (arrivals *)user_data;
    CHECK(seen->count < QUEUED);
    seen->ports[seen->count++] = ss_socket_remote_port(ss_event_socket(event));
}

static void connections_come_once_each_in_the_order_of_the_queue(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    arrivals seen;
    int clients[QUEUED], i;
    memset(&seen, 0, sizeof seen);
    for (i = 0; i < QUEUED; ++i) clients[i] = client_connect(ss_local_port(server));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, record_arrival, &seen, false, 0));
    PUMP_UNTIL(loop, seen.count == QUEUED);
    settle(loop);
    CHECK_EQ(seen.count, QUEUED);
    for (i = 0; i < QUEUED; ++i) {
        CHECK_EQ(seen.ports[i], port_of(clients[i]));
        close(clients[i]);
    }
    CHECK_OK(ss_release(loop));
}

typedef struct {
    int in_connect, data_events;
    size_t bytes;
} first_data;

static void data_outside_connect(ss_event *event, void *user_data)
{
    first_data *state = (first_data *)user_data;
    CHECK_EQ(state->in_connect, 0);
    ++state->data_events;
    state->bytes += ss_event_bytes_loaded(event);
}

static void begin_connect(ss_event *event, void *user_data)
{
    first_data *state = (first_data *)user_data;
    ss_socket *socket = ss_event_socket(event);
    state->in_connect = 1;
    CHECK_OK(ss_retain(socket));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, data_outside_connect, state, false, 0));
}

static void end_connect(ss_event *event, void *user_data)
{
    first_data *state = (first_data *)user_data;
    CHECK_EQ(state->data_events, 0);
    CHECK_EQ(ss_socket_bytes_available(ss_event_socket(event)), 0);
    state->in_connect = 0;
}

static void data_that_waited_comes_after_the_connect_listeners(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    first_data state;
    int client = client_connect(ss_local_port(server));
    memset(&state, 0, sizeof state);
    client_send(NULL, client, "early", 5);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, begin_connect, &state, false, 1));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, end_connect, &state, false, 0));
    PUMP_UNTIL(loop, state.bytes == 5);
    close(client);
    CHECK_OK(ss_release(loop));
}

static void greet(ss_event *event, void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_socket_write_bytes(ss_event_socket(event), "hello", 5));
}

static void an_unretained_socket_sends_what_was_written_and_is_closed_with_its_dispatch(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    char text[6] = "";
    int client;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, greet, NULL, false, 0));
    client = client_connect(ss_local_port(server));
    client_receive(loop, client, text, 5);
    CHECK_TEXT(text, "hello");
    CHECK_EQ(client_end(loop, client), 0);
    close(client);
    CHECK_OK(ss_release(loop));
}

static void remember_socket(ss_event *event, void *user_data)
{
    *(ss_socket **)user_data = ss_event_socket(event);
}

static void the_handle_of_an_unretained_socket_is_stale_after_the_dispatch(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *socket = NULL;
    int client;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, remember_socket, &socket, false, 0));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, socket != NULL);
    CHECK(!ss_socket_connected(socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_socket_close(socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(socket));
    CHECK_EQ(client_end(loop, client), 0);
    close(client);
    CHECK_OK(ss_release(loop));
}

typedef struct {
    int denied, seen_later, closes;
} denial;

static void deny(ss_event *event, void *user_data)
{
    denial *state = (denial *)user_data;
    ss_socket *socket = ss_event_socket(event);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &state->closes, false, 0));
    CHECK_OK(ss_socket_close(socket));
    CHECK(!ss_socket_connected(socket));
    ++state->denied;
}

static void see_denied(ss_event *event, void *user_data)
{
    CHECK(!ss_socket_connected(ss_event_socket(event)));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_socket_close(ss_event_socket(event)));
    ++((denial *)user_data)->seen_later;
}

static void closing_in_the_listener_denies_the_connection(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    denial state;
    int quiet_client, talking_client, end;
    memset(&state, 0, sizeof state);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, deny, &state, false, 1));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, see_denied, &state, false, 0));
    quiet_client = client_connect(ss_local_port(server));
    CHECK_EQ(client_end(loop, quiet_client), 0);
    talking_client = client_connect(ss_local_port(server));
    client_send(loop, talking_client, "unwanted", 8);
    end = client_end(loop, talking_client);
    CHECK(end == 0 || end == ECONNRESET);
    CHECK_EQ(state.denied, 2);
    CHECK_EQ(state.seen_later, 2);
    CHECK_EQ(state.closes, 0);
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, deny, &state, false));
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, see_denied, &state, false));
    check_accepts(loop, server);
    close(quiet_client);
    close(talking_client);
    CHECK_OK(ss_release(loop));
}

static void a_peer_that_reset_before_accept_connects_with_its_address_and_closes(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *socket = NULL;
    int closes = 0;
    int client = client_connect(ss_local_port(server));
    int32_t port = port_of(client);
    client_reset(client);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    settle(loop);
    if (socket != NULL) { /* Linux hands such a connection out; a system may also drop it */
        CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &closes, false, 0));
        if (ss_socket_connected(socket)) {
            CHECK_EQ(ss_socket_remote_port(socket), port);
            CHECK_TEXT(ss_socket_remote_address(socket), "127.0.0.1");
            PUMP_UNTIL(loop, closes == 1);
        }
        CHECK(!ss_socket_connected(socket));
        CHECK_OK(ss_release(socket));
        socket = NULL;
    }
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false));
    check_accepts(loop, server);
    CHECK_OK(ss_release(loop));
}

/* ---- close ---- */

static void close_unbinds_and_brings_no_event(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop), *bound = ss_new(loop);
    int32_t port = ss_local_port(server);
    int closes = 0;
    CHECK_OK(ss_bind(bound, 0, "127.0.0.1"));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    CHECK_OK(ss_close(server));
    check_unbound(server);
    CHECK_OK(ss_close(bound));
    check_unbound(bound);
    settle(loop);
    CHECK_EQ(closes, 0);
    CHECK_EQ(client_try_connect("127.0.0.1", port, 0), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    CHECK_OK(ss_release(loop));
}

static void accepted_sockets_outlive_their_server(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int accepted = 0, client, other;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    client = client_connect(ss_local_port(server));
    other = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, accepted == 2);
    CHECK_OK(ss_close(server));
    client_check_echo(loop, client, 1000);
    CHECK_OK(ss_release(server));
    client_check_echo(loop, other, 1000);
    client_check_echo(loop, client, 1000);
    close(client);
    close(other);
    CHECK_OK(ss_release(loop));
}

static void peers_that_were_not_accepted_are_reset(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int client = client_connect(ss_local_port(server));
    settle(loop);
    CHECK_OK(ss_close(server));
    CHECK_EQ(client_end(loop, client), reset_error());
    close(client);
    CHECK_OK(ss_release(loop));
}

static void closing_what_is_not_open_is_an_error(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    CHECK_FAILS(SS_ERR_ERROR, AIR_2002, ANY_OS_ERROR, ss_close(server));
    CHECK_OK(ss_bind(server, 0, "127.0.0.1")); /* the failed close changed nothing */
    CHECK_OK(ss_close(server));
    CHECK_FAILS(SS_ERR_ERROR, AIR_2002, ANY_OS_ERROR, ss_close(server));
    check_unbound(server);
    CHECK_OK(ss_release(server)); /* giving back the handle is another matter and never fails */
    CHECK_OK(ss_release(loop));
}

static void a_closed_server_cannot_be_opened_again(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    CHECK_OK(ss_close(server));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_bind(server, 0, "127.0.0.1"));
    CHECK_FAILS(SS_ERR_IO, AIR_2002, ANY_OS_ERROR, ss_listen(server, 0));
    check_unbound(server);
    CHECK_OK(ss_release(loop));
}

static void close_the_server(ss_event *event, void *user_data)
{
    arrivals *seen = (arrivals *)user_data;
    (void)event;
    ++seen->count;
    CHECK_OK(ss_close(seen->server));
}

static void closing_in_the_own_connect_listener_ends_accepting_at_once(void)
{
    ss_loop *loop = new_loop();
    arrivals seen;
    int clients[QUEUED], i;
    memset(&seen, 0, sizeof seen);
    seen.server = new_listening_server(loop);
    for (i = 0; i < QUEUED; ++i) clients[i] = client_connect(ss_local_port(seen.server));
    CHECK_OK(ss_add_listener(seen.server, SS_EVENT_CONNECT, close_the_server, &seen, false, 0));
    PUMP_UNTIL(loop, seen.count > 0);
    for (i = 0; i < QUEUED; ++i) {
        client_end(loop, clients[i]); /* the first was not retained, the others never came in: all end */
        close(clients[i]);
    }
    CHECK_EQ(seen.count, 1);
    check_unbound(seen.server);
    CHECK_OK(ss_release(loop));
}

static void releasing_the_last_reference_closes_the_server(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int32_t port = ss_local_port(server);
    CHECK_OK(ss_retain(server));
    CHECK_OK(ss_release(server));
    check_accepts(loop, server);
    CHECK_OK(ss_release(server));
    CHECK_EQ(client_try_connect("127.0.0.1", port, 0), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    CHECK_STATUS(SS_ERR_HANDLE, ss_close(server));
    CHECK_OK(ss_release(loop));
}

#ifndef _WIN32
static void see_close(ss_event *event, void *user_data)
{
    ss_server *server = (ss_server *)ss_event_target(event);
    CHECK_TEXT(ss_event_type(event), "close");
    CHECK(!ss_event_bubbles(event));
    CHECK(!ss_event_cancelable(event));
    check_unbound(server);
    ++*(int *)user_data;
}

static void the_system_closing_the_listening_socket_brings_one_close_event(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int closes = 0, accepted = 0;
    int64_t fd = -1;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &accepted, false, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, see_close, &closes, false, 0));
    settle(loop);
    CHECK_OK(ss_native_handle(server, &fd));
    /* Linux ends a listening socket on shutdown(2): accept(2) fails with EINVAL from now on. */
    CHECK_EQ(shutdown((int)fd, SHUT_RDWR), 0);
    PUMP_UNTIL(loop, closes == 1);
    settle(loop);
    CHECK_EQ(closes, 1);
    CHECK_EQ(accepted, 0);
    check_unbound(server);
    CHECK_FAILS(SS_ERR_ERROR, AIR_2002, ANY_OS_ERROR, ss_close(server));
    CHECK_OK(ss_release(loop));
}
#endif

static void a_close_event_may_be_dispatched_by_hand_before_closing(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_event *event = ss_event_new(SS_EVENT_CLOSE, false, false);
    int closes = 0;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    CHECK_OK(ss_dispatch_event(server, event, NULL));
    CHECK_EQ(closes, 1);
    CHECK(ss_listening(server));
    CHECK_OK(ss_close(server));
    CHECK_OK(ss_dispatch_event(server, event, NULL)); /* and on a closed server too */
    CHECK_EQ(closes, 2);
    CHECK_OK(ss_release(event));
    CHECK_OK(ss_release(loop));
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(the_library_names_itself),
        CASE(before_any_failure_the_last_error_is_empty),
        CASE(a_new_server_is_unbound_and_owns_no_descriptor),
        CASE(bind_defaults_to_every_ipv4_address),
        CASE(after_bind_the_real_port_and_address_are_known_at_once),
        CASE(bind_takes_the_port_that_was_asked_for),
        CASE(the_ipv6_wildcard_takes_no_ipv4),
        UNIX_CASE(scoped_ipv6_addresses_are_well_formed, "interfaces are numbers there"),
        CASE(a_port_out_of_range_is_a_range_error_before_all_else),
        CASE(a_malformed_address_is_an_argument_error),
        CASE(an_address_of_another_machine_is_an_io_error_and_bind_may_be_tried_again),
        UNIX_CASE(a_privileged_port_is_an_io_error, "no port is privileged there"),
        CASE(a_port_in_use_fails_in_bind_and_leaves_the_first_server_undisturbed),
        CASE(a_port_that_is_bound_but_not_listening_is_in_use),
        CASE(a_port_of_another_program_is_in_use_bound_or_listening),
        CASE(a_port_rebinds_at_once_in_time_wait_and_beside_a_living_child),
        CASE(binding_twice_is_an_io_error_and_keeps_the_first_binding),
        CASE(listening_unbound_is_an_io_error),
        CASE(a_negative_backlog_is_a_range_error),
        CASE(backlog_zero_and_a_huge_one_mean_the_maximum_of_the_system),
        CASE(fifty_clients_wait_in_the_queue_of_backlog_zero),
        CASE(listening_again_keeps_the_queue_and_brings_no_event),
        CASE(without_a_connect_listener_peers_wait_until_one_is_added),
        CASE(accepting_stops_only_when_the_last_connect_listener_is_removed),
        CASE(the_connect_event_carries_a_connected_socket_which_gets_none_itself),
        CASE(connections_come_once_each_in_the_order_of_the_queue),
        CASE(data_that_waited_comes_after_the_connect_listeners),
        CASE(an_unretained_socket_sends_what_was_written_and_is_closed_with_its_dispatch),
        CASE(the_handle_of_an_unretained_socket_is_stale_after_the_dispatch),
        CASE(closing_in_the_listener_denies_the_connection),
        CASE(a_peer_that_reset_before_accept_connects_with_its_address_and_closes),
        CASE(close_unbinds_and_brings_no_event),
        CASE(accepted_sockets_outlive_their_server),
        CASE(peers_that_were_not_accepted_are_reset),
        CASE(closing_what_is_not_open_is_an_error),
        CASE(a_closed_server_cannot_be_opened_again),
        CASE(closing_in_the_own_connect_listener_ends_accepting_at_once),
        CASE(releasing_the_last_reference_closes_the_server),
        UNIX_CASE(the_system_closing_the_listening_socket_brings_one_close_event, "shutdown does not end a listening socket there"),
        CASE(a_close_event_may_be_dispatched_by_hand_before_closing),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
