/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The event loop through the C interface: turns, stop, wake, post, the pollable descriptor, signals and descriptors. */
#include "check.h"

#ifndef _WIN32
#include <sys/resource.h>
#include <sys/time.h>
#endif

/* ---- Turns ---- */

static void an_empty_loop_polls_and_runs_without_waiting(void)
{
    ss_loop *loop = new_loop();
    uint32_t events = 77;
    CHECK_OK(ss_loop_poll(loop, 0, &events));
    CHECK_EQ(events, 0);
    CHECK_OK(ss_loop_poll(loop, 20, NULL));
    CHECK_EQ(ss_loop_timeout(loop), -1);
    CHECK_OK(ss_loop_run(loop)); /* nothing on it can ever bring an event */
    CHECK_OK(ss_release(loop));
}

static void poll_counts_the_events_it_dispatched(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int accepted = 0, client, turns = 0;
    uint32_t events = 0, sum = 0;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    client = client_connect(ss_local_port(server));
    while (accepted == 0 && ++turns < 1000) {
        CHECK_OK(ss_loop_poll(loop, 10, &events));
        sum += events;
    }
    CHECK_EQ(sum, 1);
    close(client);
    CHECK_OK(ss_release(loop));
}

typedef struct {
    ss_loop *loop;
    ss_server *server;
    int turns, stops;
} running;

static void close_all(ss_event *event, void *user_data)
{
    running *r = (running *)user_data;
    (void)event; /* its socket is not retained: it ends with this dispatch */
    ++r->turns;
    CHECK_OK(ss_close(r->server));
}

static void run_ends_when_nothing_can_bring_an_event_any_more(void)
{
    running r;
    int client;
    memset(&r, 0, sizeof r);
    r.loop = new_loop();
    r.server = new_listening_server(r.loop);
    CHECK_OK(ss_add_listener(r.server, SS_EVENT_CONNECT, close_all, &r, false, 0));
    client = client_connect(ss_local_port(r.server));
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    CHECK_OK(ss_loop_run(r.loop));
    CHECK_EQ(r.turns, 1);
    CHECK_OK(ss_loop_run(r.loop));
    close(client);
    CHECK_OK(ss_release(r.loop));
}

static void run_ends_after_the_close_of_the_last_connection(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int client, closes = 0;
    ss_socket *socket = accept_client(loop, server, &client);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    CHECK_OK(ss_close(server));
    close(client);
    CHECK_OK(ss_loop_run(loop));
    CHECK_EQ(closes, 1);
    CHECK_OK(ss_release(loop));
}

static void stop_the_run(ss_event *event, void *user_data)
{
    running *r = (running *)user_data;
    CHECK_OK(ss_retain(ss_event_socket(event)));
    ++r->stops;
    CHECK_OK(ss_loop_stop(r->loop));
}

static void a_listener_can_stop_the_run(void)
{
    running r;
    int client;
    memset(&r, 0, sizeof r);
    r.loop = new_loop();
    r.server = new_listening_server(r.loop);
    CHECK_OK(ss_add_listener(r.server, SS_EVENT_CONNECT, stop_the_run, &r, false, 0));
    client = client_connect(ss_local_port(r.server));
    CHECK_OK(ss_loop_run(r.loop));
    CHECK_EQ(r.stops, 1);
    close(client);
    CHECK_OK(ss_release(r.loop));
}

static void a_stop_before_the_run_ends_the_next_run_only(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int ran = 0;
    CHECK_OK(ss_loop_stop(loop));
    CHECK_OK(ss_loop_run(loop)); /* returns, although a server listens */
    CHECK_OK(ss_close(server));
    CHECK_OK(ss_loop_post(loop, count_call, &ran, NULL));
    CHECK_OK(ss_loop_run(loop)); /* the stop is used up: this one runs the task and ends, as nothing is left */
    CHECK_EQ(ran, 1);
    CHECK_OK(ss_release(loop));
}

static void *stop_from_thread(void *argument)
{
    CHECK_OK(ss_loop_stop((ss_loop *)argument));
    return NULL;
}

static void *wake_from_thread(void *argument)
{
    CHECK_OK(ss_loop_wake((ss_loop *)argument));
    return NULL;
}

static void another_thread_can_stop_the_run(void)
{
    int round;
    ss_loop *loop = new_loop();
    new_listening_server(loop);
    for (round = 0; round < 50; ++round) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, stop_from_thread, loop), 0);
        CHECK_OK(ss_loop_run(loop));
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_OK(ss_release(loop));
}

static void another_thread_can_wake_an_endless_poll(void)
{
    int round;
    ss_loop *loop = new_loop();
    new_listening_server(loop);
    for (round = 0; round < 50; ++round) {
        pthread_t thread;
        uint32_t events = 77;
        CHECK_EQ(pthread_create(&thread, NULL, wake_from_thread, loop), 0);
        CHECK_OK(ss_loop_poll(loop, -1, &events));
        CHECK_EQ(events, 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        /* The wake may have come before the poll or in it: one wake, one return, so nothing is left over. */
    }
    CHECK_OK(ss_loop_wake(loop));
    CHECK_OK(ss_loop_wake(loop));
    CHECK_OK(ss_loop_poll(loop, -1, NULL)); /* a wake that came first is not lost */
    CHECK_OK(ss_release(loop));
}

/* ---- Re-entrance ---- */

typedef struct {
    ss_loop *own, *other;
    int called;
} nested;

static void turn_loops(nested *n)
{
    uint32_t events = 77;
    CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_poll(n->own, 0, &events));
    CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_poll(n->own, -1, &events));
    CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_run(n->own));
    CHECK_EQ(events, 77);
    CHECK_OK(ss_loop_poll(n->other, 0, &events)); /* another loop of this thread is free */
    ++n->called;
}

static void turn_in_listener(ss_event *event, void *user_data)
{
    (void)event;
    turn_loops((nested *)user_data);
}

static void turn_in_task(void *user_data)
{
    turn_loops((nested *)user_data);
}

static void a_loop_cannot_be_turned_from_inside_its_turn(void)
{
    nested n;
    ss_server *server;
    int client;
    n.own = new_loop();
    n.other = new_loop();
    n.called = 0;
    server = new_listening_server(n.own);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, turn_in_listener, &n, false, 0));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL(n.own, n.called == 1);
    CHECK_OK(ss_loop_post(n.own, turn_in_task, &n, NULL));
    PUMP_UNTIL(n.own, n.called == 2);
    close(client);
    CHECK_OK(ss_release(n.own));
    CHECK_OK(ss_release(n.other));
}

/* ---- Posts ---- */

typedef struct {
    ss_loop *loop;
    int posted, ran;
} chain;

static void post_again(void *user_data)
{
    chain *c = (chain *)user_data;
    ++c->ran;
    CHECK_OK(ss_loop_post(c->loop, post_again, c, NULL));
    ++c->posted;
}

static void a_task_that_posts_itself_does_not_hold_the_turn(void)
{
    chain c;
    int turn;
    c.loop = new_loop();
    c.posted = c.ran = 0;
    CHECK_OK(ss_loop_post(c.loop, post_again, &c, NULL));
    for (turn = 1; turn <= 100; ++turn) CHECK_OK(ss_loop_poll(c.loop, -1, NULL));
    CHECK(c.ran >= 100); /* each turn had one waiting */
    CHECK_EQ(c.ran, c.posted);
    CHECK_OK(ss_release(c.loop));
}

static void a_task_needs_no_cancellation_but_a_function(void)
{
    ss_loop *loop = new_loop();
    int ran = 0, cancelled = 0;
    CHECK(ss_loop_post(loop, NULL, NULL, NULL) != SS_OK);
    CHECK(ss_loop_post(loop, NULL, &cancelled, count_call) != SS_OK);
    CHECK_OK(ss_loop_post(loop, count_call, &ran, NULL));
    CHECK_OK(ss_loop_poll(loop, -1, NULL));
    CHECK_EQ(ran, 1);
    CHECK_OK(ss_loop_post(loop, count_call, &ran, NULL));
    CHECK_OK(ss_release(loop));
    CHECK_EQ(ran, 1);
    CHECK_EQ(cancelled, 0);
}

typedef struct {
    unsigned char accepted, refused, ran, cancelled; /* each written by one thread at a time, read after the join */
} ticket;

static void run_ticket(void *user_data)
{
    ++((ticket *)user_data)->ran;
}

static void cancel_ticket(void *user_data)
{
    ++((ticket *)user_data)->cancelled;
}

typedef struct {
    ss_loop *loop;
    ticket *tickets;
    size_t count;
} poster;

static void *post_tickets(void *argument)
{
    poster *p = (poster *)argument;
    size_t i;
    for (i = 0; i < p->count; ++i) {
        int32_t status = ss_loop_post(p->loop, run_ticket, &p->tickets[i], cancel_ticket);
        CHECK(status == SS_OK || status == SS_ERR_HANDLE); /* the loop may be gone */
        if (status == SS_OK)
            p->tickets[i].accepted = 1;
        else
            p->tickets[i].refused = 1;
        if (i % 64 == 0) CHECK((status = ss_loop_wake(p->loop)) == SS_OK || status == SS_ERR_HANDLE);
    }
    return NULL;
}

/* Eight threads post while the loop turns; `all`: until each task ran, else the loop ends in the midst. */
static void post_storm(int all)
{
    enum { THREADS = 8 };
    const size_t each = 20000 / (size_t)slow_factor();
    ss_loop *loop = new_loop();
    poster posters[THREADS];
    pthread_t threads[THREADS];
    ticket *tickets = (ticket *)calloc(THREADS * each, sizeof *tickets);
    size_t i, ran = 0, cancelled = 0, refused = 0;
    CHECK(tickets != NULL);
    for (i = 0; i < THREADS; ++i) {
        posters[i].loop = loop;
        posters[i].tickets = tickets + i * each;
        posters[i].count = each;
        CHECK_EQ(pthread_create(&threads[i], NULL, post_tickets, &posters[i]), 0);
    }
    if (all) {
        for (i = 0; i < THREADS; ++i) {
            /* Written by this thread, when it turns the loop. */
            PUMP_UNTIL(loop, tickets[i * each + each - 1].ran);
        }
    } else {
        PUMP_UNTIL(loop, tickets[0].ran);
        for (i = 0; i < 5; ++i) CHECK_OK(ss_loop_poll(loop, 0, NULL));
    }
    if (!all) CHECK_OK(ss_release(loop));
    for (i = 0; i < THREADS; ++i) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    if (all) {
        settle(loop);
        CHECK_OK(ss_release(loop));
    }
    for (i = 0; i < THREADS * each; ++i) {
        CHECK_EQ(tickets[i].ran + tickets[i].cancelled + tickets[i].refused, 1);
        CHECK_EQ(tickets[i].accepted, !tickets[i].refused);
        ran += tickets[i].ran;
        cancelled += tickets[i].cancelled;
        refused += tickets[i].refused;
    }
    CHECK_EQ(ran + cancelled + refused, THREADS * each);
    if (all) CHECK_EQ(ran, THREADS * each);
    free(tickets);
}

static void tasks_of_eight_threads_run_once_each(void)
{
    post_storm(1);
}

static void a_loop_that_ends_amid_posts_runs_or_cancels_each_task_once(void)
{
    int round;
    for (round = 0; round < 10; ++round) post_storm(0);
}

static void tasks_left_at_the_end_are_cancelled_once(void)
{
    ss_loop *loop = new_loop();
    ticket tickets[3];
    size_t i;
    memset(tickets, 0, sizeof tickets);
    for (i = 0; i < COUNT_OF(tickets); ++i) CHECK_OK(ss_loop_post(loop, run_ticket, &tickets[i], cancel_ticket));
    CHECK_OK(ss_release(loop));
    for (i = 0; i < COUNT_OF(tickets); ++i) {
        CHECK_EQ(tickets[i].ran, 0);
        CHECK_EQ(tickets[i].cancelled, 1);
    }
}

typedef struct {
    ss_loop *loop;
    ticket last;
    int ran;
} final_task;

static void release_loop_in_task(void *user_data)
{
    final_task *f = (final_task *)user_data;
    ++f->ran;
    CHECK_OK(ss_loop_post(f->loop, run_ticket, &f->last, cancel_ticket));
    CHECK_OK(ss_release(f->loop));
}

static void a_task_may_release_its_loop(void)
{
    final_task f;
    int32_t status;
    memset(&f, 0, sizeof f);
    f.loop = new_loop();
    new_listening_server(f.loop);
    CHECK_OK(ss_loop_post(f.loop, release_loop_in_task, &f, NULL));
    status = ss_loop_poll(f.loop, -1, NULL);
    CHECK(status == SS_OK || status == SS_ERR_HANDLE);
    CHECK_EQ(f.ran, 1);
    CHECK_EQ(f.last.ran, 0);
    CHECK_EQ(f.last.cancelled, 1);
    CHECK_STATUS(SS_ERR_HANDLE, ss_loop_poll(f.loop, 0, NULL));
}

/* ---- Descriptors ---- */

/* One server and one client through the whole of a connection's life. */
static void use_everything(ss_loop *loop)
{
    ss_server *server = new_listening_server(loop);
    int accepted = 0, client, ran = 0;
    ss_socket *socket = accept_client(loop, server, &client);
    CHECK_OK(ss_loop_post(loop, count_call, &ran, NULL));
    CHECK_OK(ss_socket_write_bytes(socket, "x", 1));
    settle(loop);
    close(client);
    settle(loop);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    client = client_connect(ss_local_port(server));
    client_check_echo(loop, client, 10000);
    client_reset(client);
    settle(loop);
}

static void no_descriptor_is_left_of_many_connections_and_loops(void)
{
    int before = count_descriptors(), round, i;
    for (round = 0; round < 10; ++round) {
        ss_loop *loop = new_loop();
        for (i = 0; i < 3; ++i) use_everything(loop);
        CHECK_OK(ss_release(loop));
        CHECK_EQ(count_descriptors(), before);
    }
}

/* ---- The pollable descriptor, which Windows does not have ---- */

#ifndef _WIN32

/* The loop as a host sees it: a descriptor, and ss_loop_poll only when that is readable or a timer is due. */
typedef struct {
    ss_loop *loop;
    int fd;
} host;

static void new_host(host *h)
{
    int64_t fd = -1;
    h->loop = new_loop();
    CHECK_OK(ss_loop_fd(h->loop, &fd));
    h->fd = (int)fd;
}

static int is_readable(const host *h, int timeout_ms)
{
    struct pollfd entry;
    entry.fd = h->fd;
    entry.events = POLLIN;
    entry.revents = 0;
    return poll(&entry, 1, timeout_ms) > 0;
}

static int patience(void)
{
    return (int)patience_ms();
}

/* Turns until the descriptor is quiet: a descriptor that stays readable without work would spin its host. */
static void quiet_host(const host *h)
{
    int turns = 0;
    while (is_readable(h, 20)) {
        CHECK(++turns < 1000);
        CHECK_OK(ss_loop_poll(h->loop, 0, NULL));
    }
}

/* One turn as a host does it; fails when the descriptor stays silent although something is awaited. */
static void host_turn(const host *h, const char *awaited)
{
    int timer = ss_loop_timeout(h->loop);
    if (!is_readable(h, timer >= 0 && timer < patience() ? timer : patience()) && timer < 0) check_fail(__FILE__, __LINE__, awaited);
    CHECK_OK(ss_loop_poll(h->loop, 0, NULL));
}

static void an_idle_descriptor_is_not_readable(void)
{
    host h;
    int client;
    ss_server *server;
    new_host(&h);
    quiet_host(&h);
    CHECK(!is_readable(&h, 0));
    server = new_listening_server(h.loop);
    CHECK_OK(ss_release(accept_client(h.loop, server, &client)));
    quiet_host(&h);
    CHECK(!is_readable(&h, 50));
    CHECK_EQ(ss_loop_timeout(h.loop), -1);
    close(client);
    CHECK_OK(ss_release(h.loop));
}

static void the_descriptor_tells_of_posts_wakes_and_stops(void)
{
    host h;
    int ran = 0;
    new_host(&h);
    CHECK_OK(ss_loop_post(h.loop, count_call, &ran, NULL));
    CHECK(is_readable(&h, patience()));
    CHECK_OK(ss_loop_poll(h.loop, 0, NULL));
    CHECK_EQ(ran, 1);
    quiet_host(&h);
    CHECK_OK(ss_loop_wake(h.loop));
    CHECK(is_readable(&h, patience()));
    quiet_host(&h);
    CHECK_OK(ss_loop_post(h.loop, count_call, &ran, NULL)); /* again after it was drained */
    CHECK(is_readable(&h, patience()));
    CHECK_OK(ss_release(h.loop));
}

static void the_descriptor_tells_of_peers_data_and_ends(void)
{
    host h;
    ss_server *server;
    ss_socket *socket = NULL;
    int client, closes = 0, data = 0;
    new_host(&h);
    server = new_listening_server(h.loop);
    client = client_connect(ss_local_port(server));
    quiet_host(&h); /* nobody listens for connect, so there is no work */
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    CHECK(is_readable(&h, patience())); /* a peer waits, and now somebody wants it */
    while (socket == NULL) host_turn(&h, "a listener was added outside a turn while a peer waits");
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, count_event, &data, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    quiet_host(&h);
    client_send(NULL, client, "x", 1);
    while (data == 0) host_turn(&h, "data came");
    quiet_host(&h); /* unread bytes are no work */
    close(client);
    while (closes == 0) host_turn(&h, "the peer ended");
    CHECK_OK(ss_release(h.loop));
}

static void the_descriptor_tells_of_writes_made_outside_a_turn(void)
{
    host h;
    ss_server *server;
    ss_socket *socket;
    int client, round;
    char byte;
    new_host(&h);
    server = new_listening_server(h.loop);
    socket = accept_client(h.loop, server, &client);
    for (round = 0; round < 100; ++round) {
        quiet_host(&h);
        CHECK_OK(ss_socket_write_bytes(socket, "x", 1));
        if (client_is_idle(client)) { /* not sent at once: then there is work, and a timer of 0 is not enough to tell of it */
            CHECK(is_readable(&h, patience()));
            CHECK_OK(ss_loop_poll(h.loop, 0, NULL));
        }
        client_receive(NULL, client, &byte, 1);
    }
    quiet_host(&h);
    CHECK_OK(ss_socket_write_bytes(socket, "x", 1));
    CHECK_OK(ss_socket_flush(socket));
    client_receive(NULL, client, &byte, 1);
    quiet_host(&h);

    CHECK_OK(ss_socket_write_bytes(socket, "y", 1));
    CHECK_OK(ss_socket_close(socket));
    if (client_is_idle(client)) {
        CHECK(is_readable(&h, patience()));
        CHECK_OK(ss_loop_poll(h.loop, 0, NULL));
    }
    client_receive(NULL, client, &byte, 1);
    CHECK_EQ(byte, 'y');
    close(client);
    CHECK_OK(ss_release(h.loop));
}

static void the_descriptor_tells_of_room_for_pending_output(void)
{
    const size_t volume = 5000000;
    host h;
    ss_server *server;
    ss_socket *socket;
    unsigned char *sent = new_pattern(volume), *got = (unsigned char *)malloc(volume);
    size_t received = 0;
    int client;
    new_host(&h);
    server = new_listening_server(h.loop);
    socket = accept_client_with(h.loop, server, 16384, &client);
    CHECK_OK(ss_socket_write_bytes(socket, sent, volume));
    quiet_host(&h);
    CHECK(ss_socket_bytes_pending(socket) > 0);
    while (received < volume) {
        struct pollfd both[2];
        ssize_t n = recv(client, got + received, volume - received, MSG_DONTWAIT);
        if (n > 0) {
            received += (size_t)n;
            continue;
        }
        CHECK(n < 0 && is_temporary(errno));
        both[0].fd = client;
        both[1].fd = h.fd;
        both[0].events = both[1].events = POLLIN;
        CHECK(poll(both, 2, patience()) > 0); /* else a wake-up was missed */
        if (both[1].revents) CHECK_OK(ss_loop_poll(h.loop, 0, NULL));
    }
    CHECK(memcmp(sent, got, volume) == 0);
    free(sent);
    free(got);
    close(client);
    CHECK_OK(ss_release(h.loop));
}

typedef struct {
    int32_t port;
    int volume;
} echo_client;

static void *run_echo_client(void *argument)
{
    echo_client *e = (echo_client *)argument;
    int fd = client_connect(e->port);
    client_check_echo(NULL, fd, (size_t)e->volume);
    close(fd);
    return NULL;
}

static void a_host_that_turns_only_when_told_serves_everything(void)
{
    enum { CLIENTS = 4 };
    host h;
    ss_server *server;
    pthread_t threads[CLIENTS];
    echo_client clients[CLIENTS];
    int i, accepted = 0, closes = 0;
    ss_socket *sockets[CLIENTS];
    new_host(&h);
    server = new_listening_server(h.loop);
    for (i = 0; i < CLIENTS; ++i) {
        clients[i].port = ss_local_port(server);
        clients[i].volume = 3000000 / slow_factor();
        sockets[i] = NULL;
        CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
        CHECK_EQ(pthread_create(&threads[i], NULL, run_echo_client, &clients[i]), 0);
        CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &sockets[i], false, 0));
        while (sockets[i] == NULL) host_turn(&h, "a client connects");
        CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, keep_socket, &sockets[i], false));
        CHECK_OK(ss_add_listener(sockets[i], SS_EVENT_CLOSE, count_event, &closes, false, 0));
    }
    while (closes < CLIENTS) host_turn(&h, "clients talk");
    for (i = 0; i < CLIENTS; ++i) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(ss_release(h.loop));
}

/* ---- Signals ---- */

static volatile sig_atomic_t alarms;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    ++alarms;
}

/* A signal about a thousand times a second that interrupts every system call; 0 ends it. */
static void storm(int on)
{
    struct sigaction action;
    struct itimerval interval;
    memset(&action, 0, sizeof action);
    memset(&interval, 0, sizeof interval);
    action.sa_handler = on_alarm; /* without SA_RESTART */
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    interval.it_interval.tv_usec = interval.it_value.tv_usec = on ? 1000 * slow_factor() : 0;
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

static void a_storm_of_signals_disturbs_nothing(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int accepted = 0, client, round;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    storm(1);
    for (round = 0; round < 5; ++round) {
        client = client_connect(ss_local_port(server));
        client_check_echo(loop, client, 4000000 / (size_t)slow_factor());
        close(client);
    }
    CHECK(alarms > 0);
    storm(0);
    CHECK_EQ(accepted, 5);
    CHECK_OK(ss_release(loop));
}

static void a_signal_ends_the_wait_of_a_poll_without_an_error(void)
{
    ss_loop *loop = new_loop();
    uint32_t events = 77;
    storm(1);
    CHECK_OK(ss_loop_poll(loop, -1, &events)); /* else it would wait without end */
    storm(0);
    CHECK_EQ(events, 0);
    CHECK(alarms > 0);
    CHECK_OK(ss_release(loop));
}

typedef struct {
    ss_loop *loop;
    volatile sig_atomic_t stopped;
} stopper;

static void *stop_after_signals(void *argument)
{
    stopper *s = (stopper *)argument;
    int64_t end = now_ms() + patience_ms();
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL), 0); /* the signals are for the running loop */
    while (alarms < 50) {
        CHECK(now_ms() < end);
        poll(NULL, 0, 1);
    }
    s->stopped = 1;
    CHECK_OK(ss_loop_stop(s->loop));
    return NULL;
}

static void signals_do_not_end_a_run(void)
{
    stopper s;
    pthread_t thread;
    s.loop = new_loop();
    s.stopped = 0;
    new_listening_server(s.loop);
    CHECK_EQ(pthread_create(&thread, NULL, stop_after_signals, &s), 0);
    storm(1);
    CHECK_OK(ss_loop_run(s.loop));
    storm(0);
    CHECK_EQ(s.stopped, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(ss_release(s.loop));
}

static void signal_dispositions_and_the_mask_stay_as_they_were(void)
{
    struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    ss_loop *loop;
    int number;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask_before), 0);
    for (number = 1; number < 65; ++number)
        if (sigaction(number, NULL, &before[number]) != 0) before[number].sa_handler = SIG_ERR;
    loop = new_loop();
    use_everything(loop);
    CHECK_OK(ss_release(loop));
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask_after), 0);
    for (number = 1; number < 65; ++number) {
        snprintf(check_context, sizeof check_context, "signal %d", number);
        CHECK_EQ(sigismember(&mask_before, number), sigismember(&mask_after, number));
        if (before[number].sa_handler == SIG_ERR) continue;
        CHECK_EQ(sigaction(number, NULL, &after), 0);
        CHECK(after.sa_handler == before[number].sa_handler);
        CHECK_EQ(after.sa_flags, before[number].sa_flags);
    }
}

/* ---- Inheritance, and the limit of descriptors ---- */

static void every_descriptor_is_close_on_exec(void)
{
    int inherited[1024], all[1024], kept, count, i, k, known;
    ss_loop *loop;
    ss_server *server, *bound;
    int clients[2];
    kept = list_descriptors(inherited, 1024);
    loop = new_loop();
    server = new_listening_server(loop);
    bound = ss_new(loop);
    CHECK_OK(ss_bind(bound, 0, "127.0.0.1"));
    accept_client(loop, server, &clients[0]);
    accept_client(loop, server, &clients[1]);
    count = list_descriptors(all, 1024);
    CHECK(count >= kept + 6); /* two servers, two sockets, two clients of ours, and what the loop has */
    for (i = 0; i < count; ++i) {
        for (known = 0, k = 0; k < kept; ++k) known |= inherited[k] == all[i];
        snprintf(check_context, sizeof check_context, "descriptor %d", all[i]);
        if (!known) CHECK(fcntl(all[i], F_GETFD) & FD_CLOEXEC);
    }
    close(clients[0]);
    close(clients[1]);
    CHECK_OK(ss_release(loop));
}

/* Lets this process have no descriptor more than it has; returns how many it took to fill the holes. */
static int exhaust_descriptors(int *fillers, int capacity, struct rlimit *saved)
{
    struct rlimit tight;
    int highest = 0, fds[1024], n = list_descriptors(fds, 1024), i, count = 0, fd;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, saved), 0);
    for (i = 0; i < n; ++i)
        if (fds[i] > highest && (rlim_t)fds[i] < saved->rlim_cur) highest = fds[i]; /* valgrind has its own above */
    tight = *saved;
    tight.rlim_cur = (rlim_t)highest + 1;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while ((fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0) {
        CHECK(count < capacity);
        fillers[count++] = fd;
    }
    CHECK_EQ(errno, EMFILE);
    return count;
}

static void restore_descriptors(const int *fillers, int count, const struct rlimit *saved)
{
    int i;
    for (i = 0; i < count; ++i) close(fillers[i]);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, saved), 0);
}

/* Whether a peer that cannot be accepted for want of descriptors keeps waiting. So it is with a kernel; but valgrind keeps the
 * limit itself: it lets the kernel accept, closes the connection and then says EMFILE. Asked without the library. */
static int unaccepted_peers_wait(void)
{
    struct sockaddr_storage storage;
    struct rlimit saved;
    int fillers[1024], filled, client, wait;
    int listener = new_tcp_socket(AF_INET);
    CHECK_EQ(bind(listener, (struct sockaddr *)&storage, socket_address(&storage, "127.0.0.1", 0)), 0);
    CHECK_EQ(listen(listener, 1), 0);
    client = client_connect(port_of(listener));
    filled = exhaust_descriptors(fillers, 1024, &saved);
    CHECK_EQ(accept(listener, NULL, NULL), -1);
    CHECK_EQ(errno, EMFILE);
    wait = client_is_idle(client);
    restore_descriptors(fillers, filled, &saved);
    close(client);
    close(listener);
    return wait;
}

static void without_descriptors_peers_wait_others_are_served_and_none_is_lost(void)
{
    enum { CLIENTS = 20 };
    host h;
    ss_server *server;
    struct rlimit saved;
    int clients[CLIENTS], fillers[1024], filled, i, accepted = 0, closes = 0, echoing, turns;
    if (!unaccepted_peers_wait()) {
        skip_case("the limit of descriptors is emulated here and loses peers");
        return;
    }
    new_host(&h);
    server = new_listening_server(h.loop);
    CHECK_OK(ss_add_listener(accept_client(h.loop, server, &echoing), SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    for (i = 0; i < CLIENTS; ++i) clients[i] = client_connect(ss_local_port(server));
    filled = exhaust_descriptors(fillers, 1024, &saved);

    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    for (i = 0; i < 20; ++i) client_check_echo(h.loop, echoing, 10000);
    CHECK_EQ(accepted, 0);
    CHECK_EQ(closes, 0);
    CHECK(ss_listening(server));
    for (i = 0; i < CLIENTS; ++i) CHECK(client_is_idle(clients[i]));
    /* It must not spin: some turn finds the descriptor quiet, and a timer will try again. */
    for (turns = 0; is_readable(&h, 0); ++turns) {
        CHECK(turns < 1000);
        CHECK_OK(ss_loop_poll(h.loop, 0, NULL));
    }
    CHECK(ss_loop_timeout(h.loop) >= 0);

    restore_descriptors(fillers, filled, &saved);
    while (accepted < CLIENTS) host_turn(&h, "descriptors were freed");
    for (i = 0; i < CLIENTS; ++i) {
        client_check_echo(h.loop, clients[i], 100);
        close(clients[i]);
    }
    CHECK_EQ(accepted, CLIENTS);
    CHECK_EQ(closes, 0);
    close(echoing);
    CHECK_OK(ss_release(h.loop));
}

static void without_descriptors_a_loop_and_a_bind_fail_and_can_be_tried_again(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    struct rlimit saved;
    int fillers[1024], filled;
    filled = exhaust_descriptors(fillers, 1024, &saved);
    CHECK_FAILS(SS_ERR_IO, AIR_2002, EMFILE, ss_bind(server, 0, "127.0.0.1"));
    CHECK(!ss_bound(server));
    CHECK(ss_loop_new() == NULL);
    CHECK_EQ(ss_last_os_error(), EMFILE);
    restore_descriptors(fillers, filled, &saved);
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_release(loop));
}

#endif

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(an_empty_loop_polls_and_runs_without_waiting),
        CASE(poll_counts_the_events_it_dispatched),
        CASE(run_ends_when_nothing_can_bring_an_event_any_more),
        CASE(run_ends_after_the_close_of_the_last_connection),
        CASE(a_listener_can_stop_the_run),
        CASE(a_stop_before_the_run_ends_the_next_run_only),
        CASE(another_thread_can_stop_the_run),
        CASE(another_thread_can_wake_an_endless_poll),
        CASE(a_loop_cannot_be_turned_from_inside_its_turn),
        CASE(a_task_that_posts_itself_does_not_hold_the_turn),
        CASE(a_task_needs_no_cancellation_but_a_function),
        CASE(tasks_of_eight_threads_run_once_each),
        CASE(a_loop_that_ends_amid_posts_runs_or_cancels_each_task_once),
        CASE(tasks_left_at_the_end_are_cancelled_once),
        CASE(a_task_may_release_its_loop),
        UNIX_CASE(an_idle_descriptor_is_not_readable, "a loop has no descriptor there"),
        UNIX_CASE(the_descriptor_tells_of_posts_wakes_and_stops, "a loop has no descriptor there"),
        UNIX_CASE(the_descriptor_tells_of_peers_data_and_ends, "a loop has no descriptor there"),
        UNIX_CASE(the_descriptor_tells_of_writes_made_outside_a_turn, "a loop has no descriptor there"),
        UNIX_CASE(the_descriptor_tells_of_room_for_pending_output, "a loop has no descriptor there"),
        UNIX_CASE(a_host_that_turns_only_when_told_serves_everything, "a loop has no descriptor there"),
        UNIX_CASE(a_storm_of_signals_disturbs_nothing, "there are no signals"),
        UNIX_CASE(a_signal_ends_the_wait_of_a_poll_without_an_error, "there are no signals"),
        UNIX_CASE(signals_do_not_end_a_run, "there are no signals"),
        UNIX_CASE(signal_dispositions_and_the_mask_stay_as_they_were, "there are no signals"),
        UNIX_CASE(every_descriptor_is_close_on_exec, "tests/api/windows.rs looks at what is inherited"),
        CASE(no_descriptor_is_left_of_many_connections_and_loops),
        UNIX_CASE(without_descriptors_peers_wait_others_are_served_and_none_is_lost, "descriptors have no limit there"),
        UNIX_CASE(without_descriptors_a_loop_and_a_bind_fail_and_can_be_tried_again, "descriptors have no limit there"),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
