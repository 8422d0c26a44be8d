/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles that are not what they claim to be, and who may use the good ones: rules 1 and 2 of the header.
 *
 * tests/dist/exports.rs checks that every function of the header that takes a handle is called here. */
#include "check.h"

/* ---- Every function that takes a handle ----
 * Each is called with `h` in the handle's place and good arguments else. It must answer `expected`, or, having no status,
 * nothing (0, false, NULL); it must write nothing to its out-parameters and take nothing over. */

static int taken_over; /* counts destructors and listeners: none may ever run */

static void never_called(ss_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    ++taken_over;
}

static void never_task(void *user_data)
{
    (void)user_data;
    ++taken_over;
}

static ss_event *good_event; /* an argument where an event is not the handle in question; of the calling thread */
static int32_t expected;

#define REFUSED(call) CHECK_STATUS(expected, call)
#define EMPTY(call) CHECK((call) == 0)

static void use_as_loop(void *h)
{
    ss_loop *loop = (ss_loop *)h;
    uint32_t events = 77;
    int64_t fd = 77;
    REFUSED(ss_loop_poll(loop, 0, &events));
    REFUSED(ss_loop_run(loop));
    REFUSED(ss_loop_fd(loop, &fd));
    EMPTY(ss_loop_timeout(loop));
    EMPTY(ss_new(loop));
    EMPTY(ss_socket_new(loop));
    EMPTY(ss_timer_new(loop, 0, 0, never_task, NULL, never_task));
    CHECK(events == 77 && fd == 77);
}

static void use_as_timer(void *h)
{
    ss_timer *timer = (ss_timer *)h;
    REFUSED(ss_timer_set(timer, 0, 0));
    REFUSED(ss_timer_stop(timer));
}

static void use_as_tls(void *h)
{
    ss_tls *tls = (ss_tls *)h;
    int32_t before = expected;
    if (!ss_tls_is_supported()) expected = SS_ERR_UNSUPPORTED;
    REFUSED(ss_tls_set_identity(tls, NULL, "x", 1, "x", 1));
    REFUSED(ss_tls_set_identity(tls, NULL, NULL, 0, NULL, 0));
    REFUSED(ss_tls_add_certificate(tls, "x", 1, true));
    REFUSED(ss_tls_set_protocols(tls, "x"));
    REFUSED(ss_tls_set_ticket_secret(tls, NULL, 0));
    expected = before;
}

/* The three that every thread may call. */
static void use_as_loop_from_anywhere(void *h)
{
    ss_loop *loop = (ss_loop *)h;
    REFUSED(ss_loop_stop(loop));
    REFUSED(ss_loop_wake(loop));
    REFUSED(ss_loop_post(loop, never_task, NULL, never_task));
}

static void use_as_server(void *h)
{
    ss_server *server = (ss_server *)h;
    REFUSED(ss_bind(server, 0, "127.0.0.1"));
    REFUSED(ss_bind_path(server, "/no/such/folder/server"));
    REFUSED(ss_listen(server, 0));
    REFUSED(ss_close(server));
    REFUSED(ss_drain(server, 1000));
    EMPTY(ss_bound(server));
    EMPTY(ss_listening(server));
    EMPTY(ss_local_address(server));
    EMPTY(ss_local_port(server));
#ifdef HAVE_ss_adopt
    REFUSED(ss_adopt(server, -1, false));
#endif
#ifdef HAVE_ss_pause
    REFUSED(ss_pause(server));
    REFUSED(ss_resume(server));
#endif
#ifdef HAVE_ss_server_stats
    {
        ss_stats stats;
        memset(&stats, 0, sizeof stats);
        stats.size = sizeof stats;
        REFUSED(ss_server_stats(server, &stats));
    }
#endif
}

static void use_as_socket(void *h)
{
    ss_socket *socket = (ss_socket *)h;
    char bytes[4] = "???";
    size_t length = 77;
    REFUSED(ss_socket_close(socket));
    REFUSED(ss_socket_shutdown(socket));
    REFUSED(ss_socket_abort(socket));
    REFUSED(ss_socket_keep(socket));
    REFUSED(ss_socket_flush(socket));
    EMPTY(ss_socket_connected(socket));
    EMPTY(ss_socket_bytes_available(socket));
    EMPTY(ss_socket_bytes_pending(socket));
    EMPTY(ss_socket_local_address(socket));
    EMPTY(ss_socket_remote_address(socket));
    EMPTY(ss_socket_local_port(socket));
    EMPTY(ss_socket_remote_port(socket));
    EMPTY(ss_socket_tls_version(socket));
    EMPTY(ss_socket_server_name(socket));
    EMPTY(ss_socket_protocol(socket));
    EMPTY(ss_socket_certificate_status(socket));
    EMPTY(ss_socket_peer_certificate(socket, 0, &length));
    CHECK(length == 77 || length == 0);
    length = 77;
    EMPTY(ss_socket_read(socket, bytes, 3));
    EMPTY(ss_socket_peek(socket, &length));
    CHECK(length == 77 || length == 0);
    length = 77;
    EMPTY(ss_socket_take(socket, &length));
    CHECK(length == 77 || length == 0);
    length = 77;
    REFUSED(ss_socket_skip(socket, 1));
    REFUSED(ss_socket_read_bytes(socket, bytes, 3));
    REFUSED(ss_socket_write_bytes(socket, "x", 1));
    {
        ss_bytes part;
        part.bytes = "x";
        part.length = 1;
        REFUSED(ss_socket_write_vector(socket, &part, 1));
    }
#ifdef HAVE_ss_socket_connect
    REFUSED(ss_socket_connect(socket, "127.0.0.1", 9));
    REFUSED(ss_socket_adopt(socket, -1));
    REFUSED(ss_socket_connect_path(socket, "/no/such/server"));
    REFUSED(ss_socket_bind(socket, 0, "127.0.0.1"));
    REFUSED(ss_socket_peer_credentials(socket, NULL, NULL, NULL));
#endif
#ifdef HAVE_ss_socket_pause
    REFUSED(ss_socket_pause(socket));
    REFUSED(ss_socket_resume(socket));
#endif
#ifdef HAVE_ss_socket_endian
    EMPTY(ss_socket_endian(socket));
    REFUSED(ss_socket_set_endian(socket, SS_LITTLE_ENDIAN));
#endif
#ifdef HAVE_ss_socket_timeout
    EMPTY(ss_socket_timeout(socket));
    REFUSED(ss_socket_set_timeout(socket, 1));
#endif
#ifdef HAVE_ss_socket_read_byte
    {
        bool boolean = true;
        int8_t i8 = 77;
        uint8_t u8 = 77;
        int16_t i16 = 77;
        uint16_t u16 = 77;
        int32_t i32 = 77;
        uint32_t u32 = 77;
        float f = 77;
        double d = 77;
        REFUSED(ss_socket_read_boolean(socket, &boolean));
        REFUSED(ss_socket_read_byte(socket, &i8));
        REFUSED(ss_socket_read_unsigned_byte(socket, &u8));
        REFUSED(ss_socket_read_short(socket, &i16));
        REFUSED(ss_socket_read_unsigned_short(socket, &u16));
        REFUSED(ss_socket_read_int(socket, &i32));
        REFUSED(ss_socket_read_unsigned_int(socket, &u32));
        REFUSED(ss_socket_read_float(socket, &f));
        REFUSED(ss_socket_read_double(socket, &d));
        CHECK(boolean && i8 == 77 && u8 == 77 && i16 == 77 && u16 == 77 && i32 == 77 && u32 == 77);
        CHECK(f > 76 && d > 76);
    }
#endif
#ifdef HAVE_ss_socket_read_utf
    REFUSED(ss_socket_read_utf(socket, bytes, 3, &length));
    REFUSED(ss_socket_read_utf_bytes(socket, 1, bytes, 3, &length));
    REFUSED(ss_socket_read_multi_byte(socket, 1, "utf-8", bytes, 3, &length));
#endif
#ifdef HAVE_ss_socket_write_byte
    REFUSED(ss_socket_write_boolean(socket, true));
    REFUSED(ss_socket_write_byte(socket, 1));
    REFUSED(ss_socket_write_short(socket, 1));
    REFUSED(ss_socket_write_int(socket, 1));
    REFUSED(ss_socket_write_unsigned_int(socket, 1));
    REFUSED(ss_socket_write_float(socket, 1));
    REFUSED(ss_socket_write_double(socket, 1));
#endif
#ifdef HAVE_ss_socket_write_utf
    REFUSED(ss_socket_write_utf(socket, "x"));
    REFUSED(ss_socket_write_utf_bytes(socket, "x"));
    REFUSED(ss_socket_write_multi_byte(socket, "x", "utf-8"));
#endif
    CHECK(strcmp(bytes, "???") == 0 && length == 77);
}

static void use_as_event(void *h)
{
    ss_event *event = (ss_event *)h;
    EMPTY(ss_event_clone(event));
    EMPTY(ss_event_type(event));
    EMPTY(ss_event_bubbles(event));
    EMPTY(ss_event_cancelable(event));
    EMPTY(ss_event_phase(event));
    EMPTY(ss_event_target(event));
    EMPTY(ss_event_current_target(event));
    REFUSED(ss_event_prevent_default(event));
    EMPTY(ss_event_is_default_prevented(event));
    REFUSED(ss_event_stop_propagation(event));
    REFUSED(ss_event_stop_immediate_propagation(event));
    EMPTY(ss_event_socket(event));
    EMPTY(ss_event_bytes_loaded(event));
    EMPTY(ss_event_bytes_pending(event));
    EMPTY(ss_event_bytes_total(event));
    EMPTY(ss_event_error_id(event));
    EMPTY(ss_event_text(event));
    EMPTY(ss_event_os_error(event));
    EMPTY(ss_event_detail(event));
    EMPTY(ss_event_to_string(event, NULL, 0));
}

static void use_as_socket_of_objects(void *h)
{
    ss_socket *socket = (ss_socket *)h;
    ss_value *untouched = (ss_value *)(void *)&taken_over, *value = untouched, *good = ss_value_new(SS_VALUE_NULL);
    REFUSED(ss_socket_read_object(socket, &value));
    REFUSED(ss_socket_write_object(socket, good));
    EMPTY(ss_socket_object_encoding(socket));
    REFUSED(ss_socket_set_object_encoding(socket, SS_AMF0));
    CHECK(value == untouched);
    CHECK_OK(ss_release(good));
}

static void use_as_value(void *h)
{
    ss_value *value = (ss_value *)h, *good = ss_value_new(SS_VALUE_NULL);
    size_t length = 77;
    EMPTY(ss_value_type(value));
    EMPTY(ss_value_boolean(value));
    EMPTY(ss_value_number(value));
    EMPTY(ss_value_bytes(value, &length));
    CHECK_EQ(length, 0);
    EMPTY(ss_value_class_name(value, NULL));
    EMPTY(ss_value_item_count(value));
    EMPTY(ss_value_item(value, 0));
    EMPTY(ss_value_property_count(value));
    EMPTY(ss_value_property_name(value, 0, NULL));
    EMPTY(ss_value_property_at(value, 0));
    EMPTY(ss_value_property(value, "x"));
    REFUSED(ss_value_set(value, SS_VALUE_NULL));
    REFUSED(ss_value_set_boolean(value, true));
    REFUSED(ss_value_set_integer(value, 1));
    REFUSED(ss_value_set_number(value, 1));
    REFUSED(ss_value_set_date(value, 1));
    REFUSED(ss_value_set_string(value, "x"));
    REFUSED(ss_value_set_bytes(value, SS_VALUE_STRING, "x", 1));
    REFUSED(ss_value_set_class_name(value, "x"));
    REFUSED(ss_value_assign(value, good));
    REFUSED(ss_value_assign(good, value));
    EMPTY(ss_value_add_item(value));
    EMPTY(ss_value_add_property(value, "x"));
    CHECK_EQ(ss_value_type(good), SS_VALUE_NULL);
    CHECK_OK(ss_release(good));
}

/* A server or a socket is asked for: the dispatchers, and those with a descriptor. */
static void use_as_target(void *h)
{
    bool answer = true;
    int64_t fd = 77;
    REFUSED(ss_native_handle(h, &fd));
    REFUSED(ss_add_listener(h, "x", never_called, NULL, false, 0));
    REFUSED(ss_add_listener_full(h, "x", never_called, NULL, never_task, false, 0));
    REFUSED(ss_remove_listener(h, "x", never_called, NULL, false));
    EMPTY(ss_has_listener(h, "x"));
    EMPTY(ss_will_trigger(h, "x"));
    REFUSED(ss_dispatch_event(h, good_event, &answer));
    REFUSED(ss_set_tls(h, NULL, NULL));
    CHECK(answer && fd == 77);
#ifdef HAVE_ss_set_option
    {
        int64_t value = 77;
        REFUSED(ss_set_option(h, SS_OPT_NO_DELAY, 1));
        REFUSED(ss_get_option(h, SS_OPT_NO_DELAY, &value));
        CHECK(value == 77);
    }
#endif
}

/* Any kind is asked for. */
static void use_as_object(void *h)
{
    EMPTY(ss_object_kind(h));
    REFUSED(ss_retain(h));
    if (h != NULL) REFUSED(ss_release(h)); /* NULL is allowed there */
    REFUSED(ss_set_user_data(h, h, never_task));
    EMPTY(ss_user_data(h));
}

static void use_as_everything(void *h)
{
    if (h != NULL) { /* NULL is the default loop */
        use_as_loop(h);
        use_as_loop_from_anywhere(h);
    }
    use_as_timer(h);
    use_as_tls(h);
    use_as_server(h);
    use_as_socket(h);
    use_as_socket_of_objects(h);
    use_as_value(h);
    if (h != NULL) use_as_event(h);
    use_as_target(h);
    use_as_object(h);
}

/* ---- One living object of each kind ---- */

typedef struct {
    ss_loop *loop;
    ss_server *server;
    ss_socket *socket;
    ss_event *event;
    ss_value *value;
    ss_timer *timer;
    ss_tls *tls; /* NULL if the library was built without TLS */
    int client;
} family;

static void new_family(family *f)
{
    f->loop = new_loop();
    f->server = new_listening_server(f->loop);
    f->socket = accept_client(f->loop, f->server, &f->client);
    f->event = ss_event_new("x", false, false);
    CHECK(f->event != NULL);
    f->value = ss_value_new(SS_VALUE_ARRAY);
    CHECK(f->value != NULL);
    f->timer = ss_timer_new(f->loop, 1000000, 0, never_task, NULL, NULL);
    CHECK(f->timer != NULL);
    f->tls = ss_tls_new();
    CHECK((f->tls != NULL) == ss_tls_is_supported());
    good_event = f->event;
    expected = SS_ERR_HANDLE;
    taken_over = 0;
}

/* They still do their work, whatever was tried with other handles. */
static void check_family(family *f)
{
    char byte = 0;
    int64_t fd = -1;
    CHECK_EQ(taken_over, 0);
    CHECK(ss_listening(f->server));
    CHECK(ss_socket_connected(f->socket));
    CHECK_TEXT(ss_event_type(f->event), "x");
    CHECK(ss_event_target(f->event) == NULL);
    CHECK_EQ(ss_value_type(f->value), SS_VALUE_ARRAY);
    CHECK_EQ(ss_value_item_count(f->value), 0);
    CHECK(ss_loop_timeout(f->loop) > 0); /* the timer runs */
    CHECK_OK(ss_native_handle(f->server, &fd));
    CHECK_EQ(port_of((int)fd), ss_local_port(f->server));
    CHECK_OK(ss_socket_write_bytes(f->socket, "!", 1));
    client_receive(f->loop, f->client, &byte, 1);
    CHECK_EQ(byte, '!');
}

static void end_family(family *f)
{
    check_family(f);
    close(f->client);
    CHECK_OK(ss_release(f->event));
    CHECK_OK(ss_release(f->value));
    CHECK_OK(ss_release(f->timer));
    CHECK_OK(ss_release(f->tls));
    CHECK_OK(ss_release(f->loop));
}

/* ---- NULL, foreign kinds, stale and garbage ---- */

static void null_is_refused_everywhere(void)
{
    family f;
    new_family(&f);
    use_as_everything(NULL);
    EMPTY(ss_event_type(NULL));
    EMPTY(ss_event_clone(NULL));
    EMPTY(ss_event_to_string(NULL, NULL, 0));
    REFUSED(ss_event_prevent_default(NULL));
    CHECK_OK(ss_release(NULL));
    end_family(&f);
}

static void a_refused_handle_leaves_an_error_to_read(void)
{
    family f;
    new_family(&f);
    CHECK_STATUS(SS_ERR_HANDLE, ss_close((ss_server *)(void *)f.socket));
    CHECK_EQ(ss_last_error_id(), 0);
    CHECK_EQ(ss_last_os_error(), 0);
    CHECK(ss_last_error_message()[0] != '\0');
    end_family(&f);
}

static void a_handle_of_another_kind_is_refused(void)
{
    family f;
    new_family(&f);
    use_as_server(f.loop);
    use_as_socket(f.loop);
    use_as_event(f.loop);
    use_as_target(f.loop);
    use_as_loop(f.server);
    use_as_loop_from_anywhere(f.server);
    use_as_socket(f.server);
    use_as_event(f.server);
    use_as_loop(f.socket);
    use_as_loop_from_anywhere(f.socket);
    use_as_server(f.socket);
    use_as_event(f.socket);
    use_as_loop(f.event);
    use_as_loop_from_anywhere(f.event);
    use_as_server(f.event);
    use_as_socket(f.event);
    use_as_target(f.event);
    use_as_loop(f.value);
    use_as_loop_from_anywhere(f.value);
    use_as_server(f.value);
    use_as_socket(f.value);
    use_as_socket_of_objects(f.value);
    use_as_event(f.value);
    use_as_target(f.value);
    use_as_loop(f.timer);
    use_as_loop_from_anywhere(f.timer);
    use_as_server(f.timer);
    use_as_socket(f.timer);
    use_as_event(f.timer);
    use_as_target(f.timer);
    use_as_value(f.timer);
    use_as_timer(f.loop);
    if (f.tls != NULL) use_as_loop(f.tls); /* NULL is the default loop */
    use_as_server(f.tls);
    use_as_socket(f.tls);
    use_as_event(f.tls);
    use_as_value(f.tls);
    use_as_timer(f.tls);
    use_as_target(f.tls);
    use_as_tls(f.loop);
    use_as_tls(f.server);
    use_as_tls(f.socket);
    use_as_tls(f.event);
    use_as_tls(f.value);
    use_as_tls(f.timer);
    use_as_timer(f.server);
    use_as_timer(f.socket);
    use_as_timer(f.event);
    use_as_timer(f.value);
    use_as_value(f.loop);
    use_as_value(f.server);
    use_as_value(f.socket);
    use_as_value(f.event);
    REFUSED(ss_dispatch_event(f.server, (ss_event *)(void *)f.socket, NULL));
    REFUSED(ss_dispatch_event(f.server, (ss_event *)(void *)f.loop, NULL));
    end_family(&f);
}

static void a_stale_handle_is_refused_also_when_its_place_is_taken_again(void)
{
    family f;
    void *stale[5];
    ss_loop *other_loop = new_loop(), *third_loop;
    int round;
    size_t i;
    new_family(&f);
    for (round = 0; round < 100; ++round) {
        stale[0] = ss_new(f.loop);
        stale[1] = ss_socket_new(f.loop);
        stale[2] = ss_event_new("y", false, false);
        stale[3] = ss_timer_new(f.loop, 0, 0, never_task, NULL, NULL);
        stale[4] = other_loop;
        for (i = 0; i < COUNT_OF(stale); ++i) CHECK_OK(ss_release(stale[i]));
        for (i = 0; i < COUNT_OF(stale); ++i) use_as_everything(stale[i]);
        third_loop = new_loop();
        {
            ss_server *server = ss_new(f.loop);
            ss_socket *socket = ss_socket_new(f.loop);
            ss_event *event = ss_event_new("y", false, false);
            ss_timer *timer = ss_timer_new(f.loop, 1000000, 0, never_task, NULL, NULL);
            for (i = 0; i < COUNT_OF(stale); ++i) use_as_everything(stale[i]);
            CHECK_OK(ss_release(server));
            CHECK_OK(ss_release(socket));
            CHECK_OK(ss_release(event));
            CHECK_OK(ss_release(timer));
        }
        other_loop = third_loop;
    }
    CHECK_OK(ss_release(other_loop));
    end_family(&f);
}

static void handles_of_an_ended_loop_are_refused(void)
{
    family f, gone;
    new_family(&gone);
    close(gone.client);
    CHECK_OK(ss_release(gone.event));
    CHECK_OK(ss_release(gone.value)); /* it would outlive the loop */
    CHECK_OK(ss_release(gone.loop));
    new_family(&f);
    use_as_everything(gone.server);
    use_as_everything(gone.socket);
    use_as_everything(gone.loop);
    use_as_everything(gone.event);
    use_as_everything(gone.value);
    use_as_everything(gone.timer);
    end_family(&f);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#ifndef GARBAGE_ROUNDS /* fewer for a slow library, which the harness knows */
#define GARBAGE_ROUNDS 300000
#endif

static void hundreds_of_thousands_of_garbage_values_are_refused(void)
{
    family f;
    void *living[4];
    uint64_t state = 88172645463325252u, i, rounds = GARBAGE_ROUNDS / (uint64_t)slow_factor() / (uint64_t)slow_factor();
    new_family(&f);
    living[0] = f.loop;
    living[1] = f.server;
    living[2] = f.socket;
    living[3] = f.event;
    for (i = 0; i < rounds; ++i) {
        uint64_t r = next_random(&state), good = (uint64_t)(uintptr_t)living[r >> 62], value = 0;
        void *handle;
        switch (i % 8) {
        case 0: value = r; break;
        case 1: value = r >> 32; break;
        case 2: value = r >> 52; break;                                         /* small numbers */
        case 3: value = (uint64_t)(uintptr_t)&state + r % 4096; break;          /* addresses, aligned or not */
        case 4: value = good ^ (uint64_t)1 << r % 64; break;                    /* a good handle with one bit wrong */
        case 5: value = good ^ ((uint64_t)1 << r % 64 | (uint64_t)1 << (r >> 8) % 64); break;
        case 6: value = good + r % 2001 - 1000; break;                          /* its neighbours */
        default: value = ~(r >> r % 64); break;
        }
        handle = (void *)(uintptr_t)value;
        if (handle == NULL || handle == living[0] || handle == living[1] || handle == living[2] || handle == living[3]) continue;
        if (handle == f.value) continue;
        use_as_everything(handle);
        REFUSED(ss_dispatch_event(f.server, (ss_event *)handle, NULL));
        if (i % 4096 == 0) check_family(&f);
    }
    end_family(&f);
}

/* ---- Threads ---- */

static void *use_from_another_thread(void *argument)
{
    family *f = (family *)argument;
    good_event = ss_event_new("x", false, false); /* of this thread */
    expected = SS_ERR_THREAD;
    use_as_loop(f->loop);
    use_as_object(f->loop);
    use_as_server(f->server);
    use_as_target(f->server);
    use_as_object(f->server);
    use_as_socket(f->socket);
    use_as_target(f->socket);
    use_as_object(f->socket);
    use_as_socket_of_objects(f->socket);
    use_as_event(f->event);
    use_as_object(f->event);
    use_as_value(f->value);
    use_as_object(f->value);
    CHECK(ss_last_error_message()[0] != '\0');
    CHECK_OK(ss_release(good_event));
    return NULL;
}

static void another_thread_is_refused_and_changes_nothing(void)
{
    family f;
    pthread_t thread;
    new_family(&f);
    CHECK_EQ(pthread_create(&thread, NULL, use_from_another_thread, &f), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    good_event = f.event;
    end_family(&f);
}

static void *use_own_family(void *argument)
{
    family *others = (family *)argument, own;
    new_family(&own);
    /* Two threads with the same things in the same places: each key opens only its own. */
    expected = SS_ERR_THREAD;
    use_as_server(others->server);
    use_as_socket(others->socket);
    use_as_object(others->event);
    end_family(&own);
    return NULL;
}

static void two_threads_each_have_their_own_loop(void)
{
    family f;
    pthread_t thread;
    new_family(&f);
    CHECK_EQ(pthread_create(&thread, NULL, use_own_family, &f), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    end_family(&f);
}

static void *fail_otherwise(void *user_data)
{
    (void)user_data;
    CHECK_TEXT(ss_last_error_message(), "");
    CHECK(ss_event_new(NULL, false, false) == NULL);
    CHECK_EQ(ss_last_error_id(), 2007);
    return NULL;
}

static void the_last_error_belongs_to_the_thread(void)
{
    family f;
    pthread_t thread;
    new_family(&f);
    CHECK_FAILS(SS_ERR_RANGE, AIR_2003, 0, ss_bind(f.server, -1, NULL));
    CHECK_EQ(pthread_create(&thread, NULL, fail_otherwise, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(ss_last_error_id(), 2003);
    CHECK_TEXT(ss_last_error_message(), "Invalid socket port number specified.");
    end_family(&f);
}

/* ---- References ---- */

static void a_reference_is_given_back_once(void)
{
    family f;
    void *objects[4];
    size_t i;
    new_family(&f);
    objects[0] = new_loop();
    objects[1] = ss_new(f.loop);
    objects[2] = ss_socket_new(f.loop);
    objects[3] = ss_event_new("y", false, false);
    for (i = 0; i < COUNT_OF(objects); ++i) {
        CHECK_OK(ss_retain(objects[i]));
        CHECK_OK(ss_retain(objects[i]));
        CHECK_OK(ss_release(objects[i]));
        CHECK_OK(ss_release(objects[i]));
        CHECK_OK(ss_set_user_data(objects[i], &f, NULL)); /* it lives: the first reference is still there */
        CHECK_OK(ss_release(objects[i]));
        CHECK_STATUS(SS_ERR_HANDLE, ss_release(objects[i]));
        CHECK_STATUS(SS_ERR_HANDLE, ss_release(objects[i]));
        CHECK_STATUS(SS_ERR_HANDLE, ss_retain(objects[i]));
    }
    end_family(&f);
}

static void release_what_is_borrowed(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(socket));
    CHECK(ss_socket_connected(socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(event));
    CHECK_TEXT(ss_event_type(event), "connect");
    /* A reference taken may be given back, but not one more. */
    CHECK_OK(ss_retain(socket));
    CHECK_OK(ss_release(socket));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(socket));
    CHECK(ss_socket_connected(socket));
    CHECK_OK(ss_retain(event));
    CHECK_OK(ss_release(event));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(event));
    CHECK_TEXT(ss_event_type(event), "connect");
    keep_socket(event, user_data);
}

static void a_borrowed_reference_cannot_be_given_back(void)
{
    family f;
    ss_socket *kept = NULL;
    int client;
    new_family(&f);
    CHECK_OK(ss_add_listener(f.server, SS_EVENT_CONNECT, release_what_is_borrowed, &kept, false, 0));
    client = client_connect(ss_local_port(f.server));
    PUMP_UNTIL(f.loop, kept != NULL);
    settle(f.loop);
    CHECK(ss_socket_connected(kept));
    close(client);
    end_family(&f);
}

static void *use_default_loop(void *argument)
{
    ss_loop *loop = ss_loop_default();
    ss_server *server = ss_new(NULL);
    int accepted = 0, client;
    CHECK(loop != NULL);
    CHECK(loop == ss_loop_default());
    CHECK(loop != *(ss_loop **)argument);
    *(ss_loop **)argument = loop;
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(loop));
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_listen(server, 0));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, count_event, &accepted, false, 0));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL((ss_loop *)NULL, accepted == 1); /* NULL is this thread's own loop */
    CHECK_OK(ss_loop_poll(loop, 0, NULL));
    CHECK_OK(ss_release(server));
    close(client);
    return NULL;
}

static void the_default_loop_belongs_to_its_thread_and_ends_with_it(void)
{
    ss_loop *loop = NULL, *first;
    pthread_t thread;
    int round;
    int before = count_descriptors();
    for (round = 0; round < 3; ++round) {
        CHECK_EQ(pthread_create(&thread, NULL, use_default_loop, &loop), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(count_descriptors(), before);
        first = loop;
        CHECK_STATUS(SS_ERR_HANDLE, ss_loop_wake(first));
    }
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(null_is_refused_everywhere),
        CASE(a_refused_handle_leaves_an_error_to_read),
        CASE(a_handle_of_another_kind_is_refused),
        CASE(a_stale_handle_is_refused_also_when_its_place_is_taken_again),
        CASE(handles_of_an_ended_loop_are_refused),
        CASE(hundreds_of_thousands_of_garbage_values_are_refused),
        CASE(another_thread_is_refused_and_changes_nothing),
        CASE(two_threads_each_have_their_own_loop),
        CASE(the_last_error_belongs_to_the_thread),
        CASE(a_reference_is_given_back_once),
        CASE(a_borrowed_reference_cannot_be_given_back),
        CASE(the_default_loop_belongs_to_its_thread_and_ends_with_it),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
