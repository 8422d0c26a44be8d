/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a listener may do to the objects around it, its own target and loop included: every act in every kind of listener.
 *
 * One scenario = one kind of event (an occasion) and one act done inside its listener. Whatever the act, nothing crashes,
 * every destructor runs exactly once, no descriptor leaks, and an ended socket tells nothing more. */
#include "check.h"

typedef enum { AT_CONNECT, AT_DATA, AT_CLOSE, AT_PROGRESS, AT_ERROR, AT_SERVER_CUSTOM, AT_SOCKET_CUSTOM, OCCASIONS } occasion;

typedef enum {
    CLOSE_TARGET,
    ABORT_TARGET,
    RELEASE_TARGET,
    CLOSE_AND_RELEASE_TARGET,
    CLOSE_OTHER,
    ABORT_OTHER,
    RELEASE_OTHER,
    CLOSE_SERVER,
    RELEASE_SERVER,
    RELEASE_LOOP,
    RELEASE_EVERYTHING,
    REMOVE_EVERY_LISTENER,
    ADD_LISTENERS,
    POLL_AND_RUN,
    STOP_AND_WAKE,
    ACTS
} act;

static const char *const occasion_names[] = {"connect", "socketData", "close", "outputProgress", "ioError", "server's own", "socket's own"};
static const char *const act_names[] = {"close target", "abort target", "release target", "close and release target", "close other",
                                        "abort other", "release other", "close server", "release server", "release loop",
                                        "release everything", "remove listeners", "add listeners", "poll and run", "stop and wake"};
static const char *const types[] = {SS_EVENT_CONNECT, SS_EVENT_SOCKET_DATA, SS_EVENT_CLOSE, SS_EVENT_OUTPUT_PROGRESS,
                                    SS_EVENT_IO_ERROR, "custom", "custom"};

enum { BEFORE = 1, ACTING, AFTER }; /* the places of the three listeners of the occasion, and their priorities */

typedef struct {
    occasion when;
    act what;
    ss_loop *loop;
    ss_server *server;
    ss_socket *own, *other;
    ss_object *target;
    int own_client, other_client, third_client;
    int acted, after, in_listener;
    int closed_own;
    int own_ended, other_ended; /* by us: no event may follow */
    int added, destroyed;
} scenario;

/* A registration knows its scenario and counts itself when it is destroyed. */
typedef struct {
    scenario *s;
    int place;
    int destroyed;
} registration;

static registration registrations[64];

static void destroy_registration(void *user_data)
{
    registration *r = (registration *)user_data;
    CHECK_EQ(r->s->in_listener, 0);
    CHECK_EQ(r->destroyed++, 0);
    ++r->s->destroyed;
}

static void listen_with(scenario *s, ss_object *target, const char *type, ss_listener listener, int place)
{
    registration *r = &registrations[s->added++];
    CHECK(s->added <= (int)COUNT_OF(registrations));
    r->s = s;
    r->place = place;
    r->destroyed = 0;
    CHECK_OK(ss_add_listener_full(target, type, listener, r, destroy_registration, false, -place));
}

static void own_witness(ss_event *event, void *user_data)
{
    (void)event;
    CHECK(!((registration *)user_data)->s->own_ended);
}

static void other_witness(ss_event *event, void *user_data)
{
    (void)event;
    CHECK(!((registration *)user_data)->s->other_ended);
}

static int is_on_server(const scenario *s)
{
    return s->when == AT_CONNECT || s->when == AT_SERVER_CUSTOM;
}

static void close_target(scenario *s, int32_t (*how)(ss_socket *))
{
    int32_t status;
    if (is_on_server(s)) {
        CHECK_OK(ss_close(s->server));
        return;
    }
    status = how(s->own);
    /* In the close listener the connection is gone already; in the ioError listener it may be. */
    CHECK(status == SS_OK || (status == SS_ERR_IO && (s->when == AT_CLOSE || s->when == AT_ERROR)));
    s->closed_own = status == SS_OK;
}

static int32_t close_socket(ss_socket *socket)
{
    return ss_socket_close(socket);
}

static int32_t abort_socket(ss_socket *socket)
{
    return ss_socket_abort(socket);
}

static void remove_every_listener(scenario *s)
{
    static ss_listener const listeners[] = {own_witness, other_witness};
    ss_object *targets[3];
    size_t t, k, l;
    int i;
    targets[0] = s->server;
    targets[1] = s->own;
    targets[2] = s->other;
    for (t = 0; t < COUNT_OF(targets); ++t)
        for (k = 0; k < COUNT_OF(types); ++k)
            for (l = 0; l < COUNT_OF(listeners); ++l)
                for (i = 0; i < s->added; ++i)
                    CHECK_OK(ss_remove_listener(targets[t], types[k], listeners[l], &registrations[i], false));
}

static void do_act(scenario *s, ss_event *event)
{
    uint32_t events = 77;
    size_t k;
    switch (s->what) {
    case CLOSE_TARGET: close_target(s, close_socket); break;
    case ABORT_TARGET: close_target(s, abort_socket); break;
    case RELEASE_TARGET: CHECK_OK(ss_release(s->target)); break;
    case CLOSE_AND_RELEASE_TARGET:
        close_target(s, close_socket);
        CHECK_OK(ss_release(s->target));
        break;
    case CLOSE_OTHER: CHECK_OK(ss_socket_close(s->other)); break;
    case ABORT_OTHER: CHECK_OK(ss_socket_abort(s->other)); break;
    case RELEASE_OTHER: CHECK_OK(ss_release(s->other)); break;
    case CLOSE_SERVER: CHECK_OK(ss_close(s->server)); break;
    case RELEASE_SERVER: CHECK_OK(ss_release(s->server)); break;
    case RELEASE_LOOP: CHECK_OK(ss_release(s->loop)); break;
    case RELEASE_EVERYTHING:
        CHECK_OK(ss_release(s->own));
        CHECK_OK(ss_release(s->other));
        CHECK_OK(ss_release(s->server));
        CHECK_OK(ss_release(s->loop));
        break;
    case REMOVE_EVERY_LISTENER: remove_every_listener(s); break;
    case ADD_LISTENERS:
        for (k = 0; k < COUNT_OF(types); ++k) {
            listen_with(s, s->own, types[k], own_witness, 0);
            listen_with(s, s->other, types[k], other_witness, 0);
        }
        break;
    case POLL_AND_RUN:
        CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_poll(s->loop, 0, &events));
        CHECK_EQ(events, 77);
        CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_run(s->loop));
        break;
    case STOP_AND_WAKE:
        CHECK_OK(ss_loop_stop(s->loop));
        CHECK_OK(ss_loop_wake(s->loop));
        break;
    case ACTS: break;
    }
    CHECK_TEXT(ss_event_type(event), types[s->when]); /* the event outlives all of it until the dispatch ends */
    if (s->what != RELEASE_LOOP && s->what != RELEASE_EVERYTHING) CHECK(ss_event_target(event) == s->target);
}

static int ends_own(const scenario *s)
{
    if (s->what == RELEASE_LOOP || s->what == RELEASE_EVERYTHING || s->closed_own) return 1;
    return !is_on_server(s) && (s->what == RELEASE_TARGET || s->what == CLOSE_AND_RELEASE_TARGET);
}

static int ends_other(const scenario *s)
{
    return s->what == RELEASE_LOOP || s->what == RELEASE_EVERYTHING || (s->what >= CLOSE_OTHER && s->what <= RELEASE_OTHER);
}

static void at_occasion(ss_event *event, void *user_data)
{
    registration *r = (registration *)user_data;
    scenario *s = r->s;
    if (s->acted && r->place != AFTER) return; /* an occasion that comes again */
    if (r->place == BEFORE) return;
    if (r->place == ACTING) {
        s->in_listener = 1;
        s->acted = 1;
        if (ends_other(s)) s->other_ended = 1;
        do_act(s, event);
        s->in_listener = 0;
    } else if (s->after++ == 0 && ends_own(s)) {
        s->own_ended = 1; /* the last listener of the dispatch: from here on silence */
    }
}

/* Makes what brings the event about. */
static void bring_about(scenario *s)
{
    static unsigned char bytes[20000000];
    ss_event *event;
    int client;
    switch (s->when) {
    case AT_CONNECT: s->third_client = client_connect(ss_local_port(s->server)); break;
    case AT_DATA: client_send(NULL, s->own_client, "data", 4); break;
    case AT_CLOSE: CHECK_EQ(shutdown(s->own_client, SHUT_WR), 0); break;
    case AT_PROGRESS: CHECK_OK(ss_socket_write_bytes(s->own, "data", 4)); break;
    case AT_ERROR:
        CHECK_OK(ss_socket_write_bytes(s->own, bytes, sizeof bytes));
        CHECK_OK(ss_loop_poll(s->loop, 0, NULL));
        client = s->own_client;
        s->own_client = -1;
        client_reset(client);
        break;
    case AT_SERVER_CUSTOM:
    case AT_SOCKET_CUSTOM:
        event = ss_event_new("custom", false, false);
        CHECK_OK(ss_dispatch_event(s->target, event, NULL));
        CHECK_OK(ss_release(event));
        break;
    case OCCASIONS: break;
    }
}

static int loop_is_gone(const scenario *s)
{
    return s->acted && (s->what == RELEASE_LOOP || s->what == RELEASE_EVERYTHING);
}

static void play(occasion when, act what)
{
    scenario s;
    size_t k;
    int before = count_descriptors(), turns;
    int64_t end = now_ms() + patience_ms();
    memset(&s, 0, sizeof s);
    s.when = when;
    s.what = what;
    s.loop = new_loop();
    s.server = new_listening_server(s.loop);
    s.own = accept_client_with(s.loop, s.server, 16384, &s.own_client);
    s.other = accept_client(s.loop, s.server, &s.other_client);
    s.third_client = -1;
    s.target = is_on_server(&s) ? (ss_object *)s.server : (ss_object *)s.own;
    for (k = 0; k < COUNT_OF(types) - 1; ++k) {
        listen_with(&s, s.own, types[k], own_witness, 0);
        listen_with(&s, s.other, types[k], other_witness, 0);
    }
    listen_with(&s, s.target, types[when], at_occasion, BEFORE);
    listen_with(&s, s.target, types[when], at_occasion, ACTING);
    listen_with(&s, s.target, types[when], at_occasion, AFTER);
    client_send(NULL, s.other_client, "more", 4); /* the other has something to tell in the same turn, too */

    bring_about(&s);
    while (!s.acted) {
        int32_t status = ss_loop_poll(s.loop, 10, NULL);
        CHECK(status == SS_OK || loop_is_gone(&s));
        CHECK(now_ms() < end);
    }
    if (loop_is_gone(&s)) {
        CHECK_STATUS(SS_ERR_HANDLE, ss_loop_poll(s.loop, 0, NULL));
        CHECK_STATUS(SS_ERR_HANDLE, ss_release(s.loop));
    } else {
        CHECK(s.after >= 1); /* the rest of the dispatch went on */
        if (s.own_client >= 0) send(s.own_client, "late", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
        send(s.other_client, "late", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
        for (turns = 0; turns < 10; ++turns) CHECK_OK(ss_loop_poll(s.loop, 0, NULL));
        if (what == RELEASE_TARGET || what == CLOSE_AND_RELEASE_TARGET) CHECK_STATUS(SS_ERR_HANDLE, ss_retain(s.target));
        CHECK_OK(ss_release(s.loop));
    }
    if (s.own_client >= 0) close(s.own_client);
    if (s.third_client >= 0) close(s.third_client);
    close(s.other_client);
    CHECK_EQ(s.destroyed, s.added);
    CHECK_EQ(count_descriptors(), before);
}

static void every_act(occasion when)
{
    int what;
    for (what = 0; what < ACTS; ++what) {
        snprintf(check_context, sizeof check_context, "in the %s listener: %s", occasion_names[when], act_names[what]);
        play(when, (act)what);
    }
}

static void a_connect_listener_may_do_anything(void) { every_act(AT_CONNECT); }
static void a_data_listener_may_do_anything(void) { every_act(AT_DATA); }
static void a_close_listener_may_do_anything(void) { every_act(AT_CLOSE); }
static void a_progress_listener_may_do_anything(void) { every_act(AT_PROGRESS); }
static void an_error_listener_may_do_anything(void) { every_act(AT_ERROR); }
static void a_listener_of_a_server_s_own_event_may_do_anything(void) { every_act(AT_SERVER_CUSTOM); }
static void a_listener_of_a_socket_s_own_event_may_do_anything(void) { every_act(AT_SOCKET_CUSTOM); }

/* ---- Handles that end inside their own dispatch ---- */

typedef struct {
    ss_socket *socket;
    int stage;
} last_words;

static void release_and_ask(ss_event *event, void *user_data)
{
    last_words *w = (last_words *)user_data;
    (void)event;
    CHECK_OK(ss_release(w->socket));
    CHECK_OK(ss_set_user_data(w->socket, NULL, NULL)); /* its handle answers until the dispatch ends */
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(w->socket));
    w->stage = 1;
}

static void ask_again(ss_event *event, void *user_data)
{
    last_words *w = (last_words *)user_data;
    CHECK_EQ(w->stage, 1);
    CHECK(ss_event_target(event) == (ss_object *)w->socket);
    w->stage = 2;
}

static void save(ss_event *event, void *user_data)
{
    last_words *w = (last_words *)user_data;
    (void)event;
    CHECK_OK(ss_retain(w->socket));
    w->stage = 3;
}

static void an_object_released_in_its_dispatch_answers_until_the_end_and_can_be_saved(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    last_words w;
    int client, other;
    w.stage = 0;
    w.socket = accept_client(loop, server, &client);
    CHECK_OK(ss_add_listener(w.socket, SS_EVENT_SOCKET_DATA, release_and_ask, &w, false, 2));
    CHECK_OK(ss_add_listener(w.socket, SS_EVENT_SOCKET_DATA, ask_again, &w, false, 1));
    client_send(NULL, client, "x", 1);
    PUMP_UNTIL(loop, w.stage == 2);
    CHECK_STATUS(SS_ERR_HANDLE, ss_set_user_data(w.socket, NULL, NULL));
    CHECK_EQ(client_end(loop, client), 0);

    w.stage = 0;
    w.socket = accept_client(loop, server, &other);
    CHECK_OK(ss_add_listener(w.socket, SS_EVENT_SOCKET_DATA, release_and_ask, &w, false, 2));
    CHECK_OK(ss_add_listener(w.socket, SS_EVENT_SOCKET_DATA, save, &w, false, 1));
    client_send(NULL, other, "x", 1);
    PUMP_UNTIL(loop, w.stage == 3);
    CHECK_OK(ss_set_user_data(w.socket, NULL, NULL));
    CHECK_OK(ss_release(w.socket));
    close(client);
    close(other);
    CHECK_OK(ss_release(loop));
}

/* ---- Sockets that the library keeps ---- */

/* How a kept socket ends: what is done, and in which listener of its own, if in one. */
typedef enum { PEER_ENDS, PEER_ENDS_UNHEARD, PEER_ENDS_KEPT_ANEW, PEER_RESETS, HOST_CLOSES, HOST_ABORTS } ending;

typedef struct {
    const char *when; /* the listener in which the host does its part; NULL: outside of one */
    ending how;
    ss_socket *socket;
    int keeps, heard, destroyed, in_listener;
} keeping;

static void end_kept(keeping *k)
{
    if (k->how == HOST_CLOSES) CHECK_OK(ss_socket_close(k->socket));
    if (k->how == HOST_ABORTS) CHECK_OK(ss_socket_abort(k->socket));
}

static void destroy_kept(void *user_data)
{
    keeping *k = (keeping *)user_data;
    CHECK_EQ(k->in_listener, 0);
    ++k->destroyed;
}

static void hear_and_stop(ss_event *event, void *user_data)
{
    keeping *k = (keeping *)user_data;
    k->in_listener = 1;
    ++k->heard;
    CHECK_EQ(k->destroyed, 0);
    if (k->when != NULL && strcmp(ss_event_type(event), k->when) == 0) end_kept(k);
    if (k->how == PEER_ENDS_KEPT_ANEW) CHECK_OK(ss_socket_keep(k->socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(k->socket)); /* the reference is the library's */
    CHECK_EQ(ss_object_kind(k->socket), SS_KIND_SOCKET);
    CHECK_OK(ss_event_stop_immediate_propagation(event));
    k->in_listener = 0;
}

static void keep_accepted(ss_event *event, void *user_data)
{
    static const char *const heard[] = {SS_EVENT_SOCKET_DATA, SS_EVENT_CLOSE, SS_EVENT_IO_ERROR};
    keeping *k = (keeping *)user_data;
    size_t type;
    int times;
    k->socket = ss_event_socket(event);
    for (type = 0; type < (k->how == PEER_ENDS_UNHEARD ? 1 : COUNT_OF(heard)); ++type)
        CHECK_OK(ss_add_listener(k->socket, heard[type], hear_and_stop, k, false, 0));
    CHECK_OK(ss_set_user_data(k->socket, k, destroy_kept));
    for (times = 0; times < k->keeps; ++times) CHECK_OK(ss_socket_keep(k->socket));
    if (k->when != NULL && strcmp(k->when, SS_EVENT_CONNECT) == 0) end_kept(k);
    CHECK_EQ(k->destroyed, 0);
}

static void keep_and_end(int keeps, ending how, const char *when)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int before = count_descriptors(), client;
    keeping k;
    snprintf(check_context, sizeof check_context, "kept %d times, end %d, %s", keeps, (int)how, when != NULL ? when : "outside");
    memset(&k, 0, sizeof k);
    k.keeps = keeps;
    k.how = how;
    k.when = when;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_accepted, &k, false, 0));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, k.socket != NULL);
    if (when == NULL || strcmp(when, SS_EVENT_CONNECT) != 0) {
        client_send(NULL, client, "x", 1);
        PUMP_UNTIL(loop, k.heard == 1);
    }
    if (when == NULL) {
        settle(loop);
        CHECK_EQ(k.destroyed, 0); /* it is connected */
        end_kept(&k);
    }
    if (how == PEER_ENDS || how == PEER_ENDS_UNHEARD || how == PEER_ENDS_KEPT_ANEW) close(client);
    if (how == PEER_RESETS) client_reset(client);
    PUMP_UNTIL(loop, k.destroyed == 1);
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(k.socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_socket_keep(k.socket));
    if (how == HOST_CLOSES || how == HOST_ABORTS) {
        client_end(loop, client);
        close(client);
    }
    settle(loop);
    CHECK_EQ(k.destroyed, 1);
    CHECK_EQ(count_descriptors(), before);
    CHECK_OK(ss_release(loop));
}

static void a_kept_socket_lives_as_long_as_its_connection(void)
{
    int keeps;
    for (keeps = 1; keeps <= 3; ++keeps) {
        keep_and_end(keeps, PEER_ENDS, NULL);
        keep_and_end(keeps, PEER_ENDS_UNHEARD, NULL);
        keep_and_end(keeps, PEER_ENDS_KEPT_ANEW, NULL);
        keep_and_end(keeps, PEER_RESETS, NULL);
        keep_and_end(keeps, HOST_CLOSES, NULL);
        keep_and_end(keeps, HOST_ABORTS, NULL);
        keep_and_end(keeps, HOST_CLOSES, SS_EVENT_CONNECT);
        keep_and_end(keeps, HOST_ABORTS, SS_EVENT_CONNECT);
        keep_and_end(keeps, HOST_CLOSES, SS_EVENT_SOCKET_DATA);
        keep_and_end(keeps, HOST_ABORTS, SS_EVENT_SOCKET_DATA);
    }
}

static void one_that_is_not_connected_is_kept_from_its_next_connect_on(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *socket = ss_socket_new(loop);
    int destroyed = 0;
    CHECK_OK(ss_socket_keep(socket));
    CHECK_OK(ss_release(socket)); /* nothing holds it */
    CHECK_STATUS(SS_ERR_HANDLE, ss_socket_keep(socket));
    socket = ss_socket_new(loop);
    CHECK_OK(ss_set_user_data(socket, &destroyed, count_call));
    CHECK_OK(ss_socket_keep(socket));
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", ss_local_port(server)));
    CHECK_OK(ss_release(socket));
    CHECK_EQ(destroyed, 0);
    CHECK_OK(ss_socket_close(socket));
    CHECK_EQ(destroyed, 1);

    /* Once its connection is over it is not kept for the next one. */
    socket = ss_socket_new(loop);
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", ss_local_port(server)));
    CHECK_OK(ss_socket_keep(socket));
    CHECK_OK(ss_socket_close(socket));
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", ss_local_port(server)));
    CHECK_OK(ss_release(socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(socket));
    CHECK_OK(ss_release(loop));
}

static ss_socket *new_kept_client(ss_loop *loop, keeping *k, int32_t port)
{
    ss_socket *socket = ss_socket_new(loop);
    memset(k, 0, sizeof *k);
    k->socket = socket;
    CHECK_OK(ss_set_user_data(socket, k, destroy_kept));
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", port));
    CHECK_OK(ss_socket_keep(socket));
    CHECK_OK(ss_release(socket));
    CHECK_EQ(k->destroyed, 0);
    return socket;
}

static void connect_again(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", *(int32_t *)user_data));
}

static void a_kept_socket_lives_as_long_as_it_is_connecting(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop), *nobody = new_listening_server(loop);
    ss_socket *socket;
    int32_t port = ss_local_port(server), refused = ss_local_port(nobody);
    keeping k;
    int connects = 0;
    CHECK_OK(ss_close(nobody)); /* its port is nobody's now */
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, NULL, false, 0));

    new_kept_client(loop, &k, refused); /* nobody hears the ioError */
    PUMP_UNTIL(loop, k.destroyed == 1);
    socket = new_kept_client(loop, &k, refused);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, hear_and_stop, &k, false, 0));
    PUMP_UNTIL(loop, k.destroyed == 1);
    CHECK_EQ(k.heard, 1);
    socket = new_kept_client(loop, &k, refused);
    k.how = PEER_ENDS_KEPT_ANEW;
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, hear_and_stop, &k, false, 0));
    PUMP_UNTIL(loop, k.destroyed == 1);
    socket = new_kept_client(loop, &k, port);
    CHECK_OK(ss_socket_close(socket)); /* gives the attempt up */
    CHECK_EQ(k.destroyed, 1);

    /* One that connects anew in the ioError listener is connecting again. */
    socket = new_kept_client(loop, &k, refused);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, connect_again, &port, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CONNECT, count_event, &connects, false, 0));
    PUMP_UNTIL(loop, connects == 1);
    CHECK_EQ(k.destroyed, 0);
    CHECK_OK(ss_socket_connect(socket, "127.0.0.1", port));
    PUMP_UNTIL(loop, connects == 2);
    CHECK_EQ(k.destroyed, 0);
    CHECK_OK(ss_socket_abort(socket));
    CHECK_EQ(k.destroyed, 1);

    new_kept_client(loop, &k, port);
    CHECK_OK(ss_release(loop)); /* and it ends with its loop */
    CHECK_EQ(k.destroyed, 1);
}

/* ---- The end of a loop with everything alive ---- */

static void never_task(void *user_data)
{
    (void)user_data;
    CHECK(!"this task must not run");
}

static void releasing_a_loop_ends_everything_on_it(void)
{
    enum { PEERS = 5, DATA = 4, POSTS = 3 };
    const size_t volume = 20000000;
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop), *bound = ss_new(loop), *fresh = ss_new(loop);
    ss_socket *sockets[PEERS], *unused = ss_socket_new(loop);
    int clients[PEERS], waiting, destroyed = 0, i;
    unsigned char *bytes = new_pattern(volume);
    CHECK_OK(ss_bind(bound, 0, "127.0.0.1"));
    CHECK_OK(ss_set_user_data(loop, &destroyed, count_call));
    CHECK_OK(ss_set_user_data(server, &destroyed, count_call));
    CHECK_OK(ss_set_user_data(fresh, &destroyed, count_call));
    CHECK_OK(ss_set_user_data(unused, &destroyed, count_call)); /* these four are DATA */
    for (i = 0; i < PEERS; ++i) {
        sockets[i] = accept_client_with(loop, server, 16384, &clients[i]);
        CHECK_OK(ss_set_user_data(sockets[i], &destroyed, count_call));
        CHECK_OK(ss_add_listener_full(sockets[i], SS_EVENT_SOCKET_DATA, count_event, &destroyed, count_call, false, 0));
    }
    CHECK_OK(ss_retain(sockets[0]));                            /* references do not keep a loop's objects */
    CHECK_OK(ss_socket_write_bytes(sockets[1], bytes, volume)); /* output that nobody takes */
    CHECK_OK(ss_socket_write_bytes(sockets[2], bytes, volume)); /* and output of a closed socket */
    CHECK_OK(ss_loop_poll(loop, 0, NULL));
    CHECK_OK(ss_socket_close(sockets[2]));
    CHECK_OK(ss_release(sockets[3]));
    CHECK_EQ(destroyed, 2); /* the data and the listener of that one */
    client_send(NULL, clients[4], "unheard", 7);
    waiting = client_connect(ss_local_port(server));
    for (i = 0; i < POSTS; ++i) CHECK_OK(ss_loop_post(loop, never_task, &destroyed, count_call));

    CHECK_OK(ss_release(loop));
    CHECK_EQ(destroyed, DATA + 2 * PEERS + POSTS);
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(server));
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(sockets[0]));
    CHECK_STATUS(SS_ERR_HANDLE, ss_loop_post(loop, never_task, NULL, NULL));
    client_end(NULL, waiting);
    close(waiting);
    for (i = 0; i < PEERS; ++i) {
        client_end(NULL, clients[i]); /* all have ended, one way or the other */
        close(clients[i]);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(a_connect_listener_may_do_anything),
        CASE(a_data_listener_may_do_anything),
        CASE(a_close_listener_may_do_anything),
        CASE(a_progress_listener_may_do_anything),
        CASE(an_error_listener_may_do_anything),
        CASE(a_listener_of_a_server_s_own_event_may_do_anything),
        CASE(a_listener_of_a_socket_s_own_event_may_do_anything),
        CASE(an_object_released_in_its_dispatch_answers_until_the_end_and_can_be_saved),
        CASE(a_kept_socket_lives_as_long_as_its_connection),
        CASE(one_that_is_not_connected_is_kept_from_its_next_connect_on),
        CASE(a_kept_socket_lives_as_long_as_it_is_connecting),
        CASE(releasing_a_loop_ends_everything_on_it),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
