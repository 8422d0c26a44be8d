/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* EventDispatcher and Event through the C interface, on a server and on a socket: the chapter "Events" of docs/SEMANTICS.md. */
#include "check.h"

/* ---- Helpers ---- */

static void on_each_kind(void (*body)(ss_object *target))
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    ss_socket *socket = ss_socket_new(loop);
    CHECK(server != NULL && socket != NULL);
    body(server);
    body(socket);
    CHECK_OK(ss_release(loop));
}

/* A case that runs once on a server and once on a socket; each time the target dies afterwards with its loop. */
#define CASE_ON_EACH_TARGET(name)                      \
    static void name##_on(ss_object *target);          \
    static void name(void) { on_each_kind(name##_on); } \
    static void name##_on(ss_object *target)

/* Dispatches a fresh event; returns what AIR's dispatchEvent returns. */
static bool fire(ss_object *target, const char *type)
{
    ss_event *event = ss_event_new(type, false, false);
    bool not_prevented = false;
    CHECK(event != NULL);
    CHECK_OK(ss_dispatch_event(target, event, &not_prevented));
    CHECK_OK(ss_release(event));
    return not_prevented;
}

/* What ran, in order: each listener adds its letter. */
static char trace[600];

static void note(ss_event *event, void *user_data)
{
    (void)event;
    CHECK(strlen(trace) + 2 < sizeof trace);
    strncat(trace, (const char *)user_data, 1);
}

static void add(ss_object *target, char *letter, int32_t priority)
{
    CHECK_OK(ss_add_listener(target, "x", note, letter, false, priority));
}

static void drop(ss_object *target, char *letter)
{
    CHECK_OK(ss_remove_listener(target, "x", note, letter, false));
}

/* Fires "x" and compares what ran. */
static void check_fire(int line, ss_object *target, const char *expected)
{
    trace[0] = '\0';
    fire(target, "x");
    check_text(__FILE__, line, "what ran", trace, expected);
}
#define CHECK_FIRE(target, expected) check_fire(__LINE__, (target), (expected))

/* One array, so that each letter has one address: a listener is the pair (function, user_data). */
static char a[] = "a", b[] = "b", c[] = "c", d[] = "d", e[] = "e";

/* ---- Order, duplicates, capture ---- */

CASE_ON_EACH_TARGET(listeners_run_by_priority_and_then_in_the_order_of_adding)
{
    add(target, a, 0);
    add(target, b, INT32_MIN);
    add(target, c, INT32_MAX);
    add(target, d, 0);
    add(target, e, 5);
    CHECK_FIRE(target, "ceadb");
}

CASE_ON_EACH_TARGET(a_priority_is_fixed_until_the_listener_is_removed)
{
    add(target, a, 0);
    add(target, b, 0);
    add(target, b, 10); /* ignored: it is there already */
    CHECK_FIRE(target, "ab");
    drop(target, b);
    add(target, b, 10);
    CHECK_FIRE(target, "ba");
    drop(target, b);
    CHECK_FIRE(target, "a");
}

CASE_ON_EACH_TARGET(a_listener_is_the_pair_of_function_and_user_data)
{
    int counter = 0;
    add(target, a, 0);
    add(target, a, 0);
    add(target, b, 0);
    CHECK_OK(ss_add_listener(target, "x", count_event, a, false, 0));
    CHECK_OK(ss_remove_listener(target, "x", count_event, a, false));
    CHECK_OK(ss_add_listener(target, "x", count_event, &counter, false, 0));
    CHECK_FIRE(target, "ab");
    CHECK_EQ(counter, 1);
    drop(target, a);
    CHECK_FIRE(target, "b");
}

CASE_ON_EACH_TARGET(a_capture_registration_is_another_one_and_never_runs_here)
{
    CHECK_OK(ss_add_listener(target, "x", note, a, true, 0));
    CHECK(ss_has_listener(target, "x"));
    CHECK(ss_will_trigger(target, "x"));
    CHECK_FIRE(target, "");
    add(target, a, 0);
    CHECK_FIRE(target, "a");
    drop(target, a);
    CHECK_FIRE(target, "");
    CHECK(ss_has_listener(target, "x"));
    CHECK_OK(ss_remove_listener(target, "x", note, a, true));
    CHECK(!ss_has_listener(target, "x"));
    CHECK(!ss_will_trigger(target, "x"));
}

CASE_ON_EACH_TARGET(removing_an_unknown_listener_has_no_effect)
{
    int other = 0;
    drop(target, a);
    add(target, a, 0);
    CHECK_OK(ss_remove_listener(target, "y", note, a, false));
    CHECK_OK(ss_remove_listener(target, "x", note, b, false));
    CHECK_OK(ss_remove_listener(target, "x", count_event, &other, false));
    CHECK_OK(ss_remove_listener(target, "x", note, a, true));
    CHECK_FIRE(target, "a");
}

CASE_ON_EACH_TARGET(types_are_compared_by_their_text)
{
    char first[] = "custom", second[] = "custom";
    char endless[5000];
    int count = 0;
    CHECK_OK(ss_add_listener(target, first, count_event, &count, false, 0));
    memset(first, '?', sizeof first - 1); /* the library keeps no pointer to the caller's text */
    CHECK(ss_has_listener(target, second));
    CHECK(ss_will_trigger(target, second));
    CHECK(!ss_has_listener(target, "Custom"));
    CHECK(!ss_has_listener(target, "custo"));
    fire(target, second);
    CHECK_EQ(count, 1);
    CHECK_OK(ss_remove_listener(target, second, count_event, &count, false));
    CHECK(!ss_has_listener(target, "custom"));

    memset(endless, 'e', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK_OK(ss_add_listener(target, endless, count_event, &count, false, 0));
    fire(target, endless);
    CHECK_EQ(count, 2);
}

CASE_ON_EACH_TARGET(a_thousand_listeners_all_run)
{
    enum { MANY = 1000 };
    static int counts[MANY];
    int i;
    memset(counts, 0, sizeof counts);
    for (i = 0; i < MANY; ++i) CHECK_OK(ss_add_listener(target, "x", count_event, &counts[i], false, i % 7));
    fire(target, "x");
    for (i = 0; i < MANY; i += 2) CHECK_OK(ss_remove_listener(target, "x", count_event, &counts[i], false));
    fire(target, "x");
    for (i = 0; i < MANY; ++i) CHECK_EQ(counts[i], i % 2 ? 2 : 1);
}

/* ---- Bad arguments ---- */

CASE_ON_EACH_TARGET(null_arguments_are_type_errors)
{
    int destroyed = 0, count = 0;
    CHECK_FAILS(SS_ERR_TYPE, AIR_2007_LISTENER, 0, ss_add_listener(target, "x", NULL, NULL, false, 0));
    CHECK_FAILS(SS_ERR_TYPE, AIR_2007_LISTENER, 0, ss_add_listener_full(target, "x", NULL, &destroyed, count_call, false, 0));
    CHECK_FAILS(SS_ERR_TYPE, AIR_2007_TYPE, 0, ss_add_listener(target, NULL, count_event, &count, false, 0));
    CHECK_FAILS(SS_ERR_TYPE, AIR_2007_TYPE, 0,
                ss_add_listener_full(target, NULL, count_event, &destroyed, count_call, false, 0));
    CHECK(!ss_has_listener(target, "x"));
    CHECK(!ss_has_listener(target, NULL));
    CHECK(!ss_will_trigger(target, NULL));
    CHECK_EQ(destroyed, 0); /* a call that failed took nothing over */
    CHECK_FAILS(SS_ERR_TYPE, AIR_2007_EVENT, 0, ss_dispatch_event(target, NULL, NULL));
    CHECK(ss_event_new(NULL, false, false) == NULL);
    CHECK_EQ(ss_last_error_id(), 2007);
    CHECK_TEXT(ss_last_error_message(), "Parameter type must be non-null.");
}

/* ---- The return value, prevention, propagation ---- */

static void prevent(ss_event *event, void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_event_prevent_default(event));
    CHECK_EQ(ss_event_is_default_prevented(event), ss_event_cancelable(event));
}

static void stop(ss_event *event, void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_event_stop_propagation(event));
}

static void stop_at_once(ss_event *event, void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_event_stop_immediate_propagation(event));
}

CASE_ON_EACH_TARGET(dispatch_says_whether_the_default_was_prevented)
{
    ss_event *cancelable = ss_event_new("x", false, true), *firm = ss_event_new("x", false, false);
    bool answer = false;
    CHECK(fire(target, "x")); /* nobody listens */
    CHECK_OK(ss_add_listener(target, "x", stop, NULL, false, 0));
    CHECK(fire(target, "x"));
    CHECK_OK(ss_add_listener(target, "x", stop_at_once, NULL, false, -1));
    CHECK(fire(target, "x"));
    CHECK_OK(ss_add_listener(target, "x", prevent, NULL, false, 1));
    CHECK_OK(ss_dispatch_event(target, firm, &answer));
    CHECK(answer);
    CHECK(!ss_event_is_default_prevented(firm));
    CHECK_OK(ss_dispatch_event(target, cancelable, &answer));
    CHECK(!answer);
    CHECK(ss_event_is_default_prevented(cancelable));
    CHECK_OK(ss_dispatch_event(target, firm, NULL)); /* who does not ask gets no answer */
    CHECK_OK(ss_release(cancelable));
    CHECK_OK(ss_release(firm));
}

CASE_ON_EACH_TARGET(only_immediate_stopping_keeps_the_other_listeners_out)
{
    add(target, a, 0);
    CHECK_OK(ss_add_listener(target, "x", stop, NULL, false, 0));
    add(target, b, 0);
    CHECK_FIRE(target, "ab");
    CHECK_OK(ss_remove_listener(target, "x", stop, NULL, false));
    CHECK_OK(ss_add_listener(target, "x", stop_at_once, NULL, false, 0));
    add(target, c, 0);
    CHECK_FIRE(target, "ab");
}

/* ---- Changing the list while it is walked ---- */

static ss_object *the_target; /* of the listeners below */

static void add_b_and_readd_c(ss_event *event, void *user_data)
{
    note(event, user_data);
    add(the_target, b, 100);
    drop(the_target, c);
    add(the_target, c, 0);
}

CASE_ON_EACH_TARGET(a_listener_added_during_a_dispatch_waits_for_the_next)
{
    the_target = target;
    CHECK_OK(ss_add_listener(target, "x", add_b_and_readd_c, a, false, 0));
    add(target, c, 0);
    add(target, d, 0);
    CHECK_FIRE(target, "ad"); /* c was removed; that it came back does not bring it into this dispatch */
    CHECK_OK(ss_remove_listener(target, "x", add_b_and_readd_c, a, false));
    CHECK_FIRE(target, "bdc");
}

static void drop_letter(ss_event *event, void *user_data)
{
    (void)event;
    strcat(trace, "-");
    drop(the_target, (char *)user_data);
}

CASE_ON_EACH_TARGET(removing_a_listener_during_a_dispatch_skips_it)
{
    the_target = target;
    add(target, a, 0);
    CHECK_OK(ss_add_listener(target, "x", drop_letter, b, false, 0));
    add(target, b, 0);
    add(target, c, 0);
    CHECK_FIRE(target, "a-c");
    CHECK_FIRE(target, "a-c");
}

static void drop_myself(ss_event *event, void *user_data)
{
    note(event, user_data);
    CHECK_OK(ss_remove_listener(the_target, "x", drop_myself, user_data, false));
}

CASE_ON_EACH_TARGET(a_listener_that_removes_itself_does_not_hide_the_next)
{
    the_target = target;
    CHECK_OK(ss_add_listener(target, "x", drop_myself, a, false, 0));
    CHECK_OK(ss_add_listener(target, "x", drop_myself, b, false, 0));
    add(target, c, 0);
    CHECK_FIRE(target, "abc");
    CHECK_FIRE(target, "c");
}

static void drop_all(ss_event *event, void *user_data)
{
    note(event, user_data);
    CHECK_OK(ss_remove_listener(the_target, "x", drop_all, user_data, false));
    drop(the_target, b);
    drop(the_target, c);
    CHECK(!ss_has_listener(the_target, "x"));
}

CASE_ON_EACH_TARGET(removing_every_listener_ends_the_dispatch)
{
    the_target = target;
    CHECK_OK(ss_add_listener(target, "x", drop_all, a, false, 0));
    add(target, b, 0);
    add(target, c, 0);
    CHECK_FIRE(target, "a");
    CHECK_FIRE(target, "");
}

/* ---- Dispatching inside a dispatch ---- */

static int depth;

static void nest_once(ss_event *event, void *user_data)
{
    note(event, user_data);
    if (depth++ == 0) {
        add(the_target, b, 0); /* not in the outer dispatch, but in the nested one */
        drop(the_target, c);   /* in neither */
        fire(the_target, "x");
        strcat(trace, ".");
    }
}

CASE_ON_EACH_TARGET(a_nested_dispatch_walks_the_list_of_its_own_moment)
{
    the_target = target;
    depth = 0;
    CHECK_OK(ss_add_listener(target, "x", nest_once, a, false, 0));
    add(target, c, 0);
    add(target, d, 0);
    CHECK_FIRE(target, "aadb.d");
}

static int deepest, overflows, returned;

static void nest_without_end(ss_event *event, void *user_data)
{
    ss_event *inner = ss_event_new("x", false, false);
    bool answer = false;
    int32_t status;
    (void)event;
    (void)user_data;
    if (++depth > deepest) deepest = depth;
    status = ss_dispatch_event(the_target, inner, &answer);
    if (status == SS_OK) {
        CHECK(answer);
    } else {
        CHECK_FAILS(SS_ERR_ERROR, AIR_2094, 0, status);
        CHECK(!answer);
        ++overflows;
    }
    CHECK_OK(ss_release(inner));
    --depth;
}

CASE_ON_EACH_TARGET(the_257th_nested_dispatch_is_refused_and_the_outer_ones_go_on)
{
    the_target = target;
    depth = deepest = overflows = returned = 0;
    CHECK_OK(ss_add_listener(target, "x", nest_without_end, NULL, false, 0));
    CHECK_OK(ss_add_listener(target, "x", count_event, &returned, false, 0));
    fire(target, "x");
    CHECK_EQ(deepest, 256);
    CHECK_EQ(overflows, 1);
    CHECK_EQ(returned, 256);
    CHECK_OK(ss_remove_listener(target, "x", nest_without_end, NULL, false));
    fire(target, "x"); /* nothing is left of it */
    CHECK_EQ(returned, 257);
}

/* ---- Events ---- */

static ss_event *seen_event;
static ss_object *seen_target;

static void see_event(ss_event *event, void *user_data)
{
    (void)user_data;
    seen_event = event;
    seen_target = ss_event_target(event);
    CHECK(ss_event_current_target(event) == seen_target);
    CHECK_EQ(ss_event_phase(event), SS_PHASE_AT_TARGET);
}

CASE_ON_EACH_TARGET(an_event_knows_its_target_from_the_dispatch_on)
{
    ss_event *event = ss_event_new("x", true, true);
    CHECK_TEXT(ss_event_type(event), "x");
    CHECK(ss_event_bubbles(event));
    CHECK(ss_event_cancelable(event));
    CHECK(!ss_event_is_default_prevented(event));
    CHECK_EQ(ss_event_phase(event), SS_PHASE_AT_TARGET);
    CHECK(ss_event_target(event) == NULL);
    CHECK(ss_event_current_target(event) == NULL);
    CHECK_OK(ss_add_listener(target, "x", see_event, NULL, false, 0));
    CHECK_OK(ss_dispatch_event(target, event, NULL));
    CHECK(seen_event == event);
    CHECK(seen_target == target);
    CHECK(ss_event_target(event) == target);
    CHECK_OK(ss_release(event));
}

CASE_ON_EACH_TARGET(an_event_that_was_delivered_goes_out_again_as_a_clone)
{
    ss_event *event = ss_event_new("x", false, true);
    ss_loop *loop = new_loop();
    ss_server *second = ss_new(loop);
    bool answer = false;
    CHECK_OK(ss_add_listener(target, "x", see_event, NULL, false, 3));
    CHECK_OK(ss_add_listener(target, "x", prevent, NULL, false, 2));
    CHECK_OK(ss_add_listener(target, "x", stop_at_once, NULL, false, 1));
    CHECK_OK(ss_dispatch_event(target, event, &answer));
    CHECK(seen_event == event);
    CHECK(!answer);

    /* The clone starts afresh: neither stopped nor prevented. */
    CHECK_OK(ss_add_listener(second, "x", see_event, NULL, false, 0));
    CHECK_OK(ss_add_listener(second, "x", note, a, false, 0));
    trace[0] = '\0';
    CHECK_OK(ss_dispatch_event(second, event, &answer));
    CHECK(answer);
    CHECK_TEXT(trace, "a");
    CHECK(seen_event != event);
    CHECK(seen_target == (ss_object *)second);
    CHECK(ss_event_target(event) == target); /* the original is as it was */
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(seen_event)); /* the clone died with its dispatch */
    CHECK_OK(ss_release(event));
    CHECK_OK(ss_release(loop));
}

CASE_ON_EACH_TARGET(an_event_that_nobody_heard_is_not_cloned)
{
    ss_event *event = ss_event_new("x", false, false);
    CHECK_OK(ss_dispatch_event(target, event, NULL));
    CHECK_OK(ss_add_listener(target, "x", see_event, NULL, false, 0));
    CHECK_OK(ss_dispatch_event(target, event, NULL));
    CHECK(seen_event == event);
    CHECK_OK(ss_release(event));
}

static void clone_it(ss_event *event, void *user_data)
{
    CHECK_OK(ss_event_prevent_default(event));
    *(ss_event **)user_data = ss_event_clone(event);
}

CASE_ON_EACH_TARGET(a_clone_keeps_the_nature_and_forgets_the_history)
{
    ss_event *event = ss_event_new("x", true, true), *clone = NULL;
    CHECK_OK(ss_add_listener(target, "x", clone_it, &clone, false, 0));
    CHECK_OK(ss_dispatch_event(target, event, NULL));
    CHECK(clone != NULL && clone != event);
    CHECK_OK(ss_release(event));
    CHECK_TEXT(ss_event_type(clone), "x");
    CHECK(ss_event_bubbles(clone));
    CHECK(ss_event_cancelable(clone));
    CHECK(!ss_event_is_default_prevented(clone));
    CHECK(ss_event_target(clone) == NULL);
    CHECK(ss_event_current_target(clone) == NULL);
    CHECK_OK(ss_release(clone));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(clone));
}

CASE_ON_EACH_TARGET(a_clone_of_a_clone_outlives_both)
{
    ss_event *first = ss_event_new("x", false, true), *second = ss_event_clone(first), *third = ss_event_clone(second);
    CHECK_OK(ss_release(first));
    CHECK_OK(ss_release(second));
    CHECK_OK(ss_add_listener(target, "x", see_event, NULL, false, 0));
    CHECK_OK(ss_dispatch_event(target, third, NULL));
    CHECK(seen_event == third);
    CHECK_OK(ss_release(third));
}

static void an_event_describes_itself_like_snprintf(void)
{
    static const char expected[] = "[Event type=\"x\" bubbles=false cancelable=true eventPhase=2]";
    ss_loop *loop = new_loop();
    ss_event *event = ss_event_new("x", false, true);
    char text[sizeof expected + 8];
    CHECK_EQ(ss_event_to_string(event, NULL, 0), sizeof expected - 1);
    CHECK_EQ(ss_event_to_string(event, text, sizeof text), sizeof expected - 1);
    CHECK_TEXT(text, expected);
    CHECK_EQ(ss_event_to_string(event, text, sizeof expected), sizeof expected - 1); /* just room enough */
    CHECK_TEXT(text, expected);
    memset(text, '?', sizeof text);
    CHECK_EQ(ss_event_to_string(event, text, 7), sizeof expected - 1);
    CHECK_TEXT(text, "[Event");
    CHECK_EQ(text[7], '?'); /* nothing beyond the capacity */
    memset(text, '?', sizeof text);
    CHECK_EQ(ss_event_to_string(event, text, 1), sizeof expected - 1);
    CHECK_TEXT(text, "");
    CHECK_EQ(ss_event_to_string(event, text, 0), sizeof expected - 1);
    CHECK_OK(ss_release(event));
    CHECK_OK(ss_release(loop));
}

CASE_ON_EACH_TARGET(a_host_made_event_of_a_socket_type_carries_nothing)
{
    static const char *const types[] = {SS_EVENT_CONNECT, SS_EVENT_SOCKET_DATA, SS_EVENT_OUTPUT_PROGRESS, SS_EVENT_IO_ERROR,
                                        SS_EVENT_CLOSE};
    size_t i;
    int count = 0;
    for (i = 0; i < COUNT_OF(types); ++i) {
        ss_event *event = ss_event_new(types[i], false, false);
        CHECK(ss_event_socket(event) == NULL);
        CHECK_EQ(ss_event_bytes_loaded(event), 0);
        CHECK_EQ(ss_event_bytes_pending(event), 0);
        CHECK_EQ(ss_event_bytes_total(event), 0);
        CHECK_EQ(ss_event_error_id(event), 0);
        CHECK_EQ(ss_event_os_error(event), 0);
        CHECK_OK(ss_dispatch_event(target, event, NULL)); /* an error event unheard never stops a program */
        CHECK_OK(ss_add_listener(target, types[i], count_event, &count, false, 0));
        CHECK_OK(ss_dispatch_event(target, event, NULL));
        CHECK_EQ(count, (int)i + 1);
        CHECK_OK(ss_release(event));
    }
}

/* ---- Lives ---- */

static void keep_event(ss_event *event, void *user_data)
{
    CHECK_OK(ss_retain(event));
    *(ss_event **)user_data = event;
}

static void borrow_event(ss_event *event, void *user_data)
{
    *(ss_event **)user_data = event;
}

static void a_borrowed_event_dies_with_its_dispatch_unless_retained(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_event *borrowed = NULL, *kept = NULL;
    int client, other;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, borrow_event, &borrowed, false, 0));
    client = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, borrowed != NULL);
    CHECK_TEXT(ss_event_type(borrowed), NULL);
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(borrowed));

    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_event, &kept, false, 0));
    other = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, kept != NULL);
    settle(loop);
    CHECK_TEXT(ss_event_type(kept), "connect");
    CHECK(ss_event_target(kept) == (ss_object *)server);
    CHECK_OK(ss_release(kept));
    CHECK_TEXT(ss_event_type(kept), NULL);
    close(client);
    close(other);
    CHECK_OK(ss_release(loop));
}

static void release_event(ss_event *event, void *user_data)
{
    (void)event;
    CHECK_OK(ss_release((ss_event *)user_data));
}

CASE_ON_EACH_TARGET(an_event_released_by_its_listener_lives_to_the_end_of_the_dispatch)
{
    ss_event *event = ss_event_new("x", false, false);
    int count = 0;
    CHECK_OK(ss_add_listener(target, "x", release_event, event, false, 1));
    CHECK_OK(ss_add_listener(target, "x", see_event, NULL, false, 0));
    CHECK_OK(ss_add_listener(target, "x", count_event, &count, false, 0));
    CHECK_OK(ss_dispatch_event(target, event, NULL));
    CHECK(seen_event == event);
    CHECK_EQ(count, 1);
    CHECK_STATUS(SS_ERR_HANDLE, ss_retain(event));
}

static void dispatch_works_on_a_closed_object(void)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    int client, servers = 0, sockets = 0;
    ss_socket *socket = accept_client(loop, server, &client);
    CHECK_OK(ss_close(server));
    CHECK_OK(ss_socket_close(socket));
    CHECK_OK(ss_add_listener(server, "x", count_event, &servers, false, 0));
    CHECK_OK(ss_add_listener(socket, "x", count_event, &sockets, false, 0));
    fire(server, "x");
    fire(socket, "x");
    CHECK_EQ(servers, 1);
    CHECK_EQ(sockets, 1);
    close(client);
    CHECK_OK(ss_release(loop));
}

/* ---- Destructors ---- */

CASE_ON_EACH_TARGET(the_destructor_of_a_listener_runs_once_when_it_is_removed)
{
    int destroyed = 0, other = 0;
    CHECK_OK(ss_add_listener_full(target, "x", count_event, &destroyed, count_call, false, 0));
    CHECK_OK(ss_remove_listener(target, "x", count_event, &other, false));
    CHECK_EQ(destroyed, 0);
    CHECK_OK(ss_remove_listener(target, "x", count_event, &destroyed, false));
    CHECK_EQ(destroyed, 1);
    CHECK_OK(ss_remove_listener(target, "x", count_event, &destroyed, false));
    CHECK_EQ(destroyed, 1);
}

CASE_ON_EACH_TARGET(an_ignored_duplicate_does_not_destroy_what_the_first_still_uses)
{
    int calls = 0;
    CHECK_OK(ss_add_listener_full(target, "x", count_event, &calls, count_call, false, 0));
    CHECK_OK(ss_add_listener_full(target, "x", count_event, &calls, count_call, false, 5));
    CHECK_EQ(calls, 0);
    fire(target, "x");
    CHECK_EQ(calls, 1); /* one call of the listener */
    CHECK_OK(ss_remove_listener(target, "x", count_event, &calls, false));
    CHECK_EQ(calls, 2); /* and one of the destructor */
}

typedef struct {
    ss_object *target;
    int in_listener, destroyed, destroyed_inside;
} guarded;

static void destroy_guarded(void *user_data)
{
    guarded *state = (guarded *)user_data;
    ++state->destroyed;
    if (state->in_listener) ++state->destroyed_inside;
}

static void remove_guarded(ss_event *event, void *user_data)
{
    guarded *state = (guarded *)user_data;
    (void)event;
    state->in_listener = 1;
    CHECK_OK(ss_remove_listener(state->target, "x", remove_guarded, state, false));
    CHECK_EQ(state->destroyed, 0);
    fire(state->target, "y"); /* a nested dispatch that ends must not run it either */
    CHECK_EQ(state->destroyed, 0);
    state->in_listener = 0;
}

CASE_ON_EACH_TARGET(a_listener_that_removes_itself_is_destroyed_after_the_dispatch)
{
    guarded state;
    int inner = 0;
    memset(&state, 0, sizeof state);
    state.target = target;
    CHECK_OK(ss_add_listener(target, "y", count_event, &inner, false, 0));
    CHECK_OK(ss_add_listener_full(target, "x", remove_guarded, &state, destroy_guarded, false, 0));
    fire(target, "x");
    CHECK_EQ(inner, 1);
    CHECK_EQ(state.destroyed, 1);
    CHECK_EQ(state.destroyed_inside, 0);
}

static void listeners_and_user_data_are_destroyed_once_with_their_object(void)
{
    ss_loop *loop = new_loop();
    ss_object *objects[2];
    size_t i;
    objects[0] = ss_new(loop);
    objects[1] = ss_socket_new(loop);
    for (i = 0; i < COUNT_OF(objects); ++i) {
        int listener = 0, captured = 0, data = 0;
        CHECK_OK(ss_add_listener_full(objects[i], "x", count_event, &listener, count_call, false, 0));
        CHECK_OK(ss_add_listener_full(objects[i], "y", count_event, &captured, count_call, true, 0));
        CHECK_OK(ss_set_user_data(objects[i], &data, count_call));
        CHECK_OK(ss_retain(objects[i]));
        CHECK_OK(ss_release(objects[i]));
        CHECK_EQ(listener + captured + data, 0);
        CHECK_OK(ss_release(objects[i]));
        CHECK_EQ(listener, 1);
        CHECK_EQ(captured, 1);
        CHECK_EQ(data, 1);
    }
    CHECK_OK(ss_release(loop));
}

CASE_ON_EACH_TARGET(replaced_user_data_is_destroyed_once)
{
    int first = 0, second = 0;
    CHECK(ss_user_data(target) == NULL);
    CHECK_OK(ss_set_user_data(target, &first, count_call));
    CHECK(ss_user_data(target) == &first);
    CHECK_OK(ss_set_user_data(target, &second, count_call));
    CHECK_EQ(first, 1);
    CHECK(ss_user_data(target) == &second);
    CHECK_OK(ss_set_user_data(target, &first, NULL));
    CHECK_EQ(second, 1);
    CHECK_OK(ss_set_user_data(target, NULL, NULL));
    CHECK(ss_user_data(target) == NULL);
    CHECK_EQ(first, 1);
    CHECK_EQ(second, 1);
}

static void events_and_loops_carry_user_data_too(void)
{
    ss_loop *loop = new_loop();
    ss_event *event = ss_event_new("x", false, false);
    int of_event = 0, of_loop = 0;
    CHECK_OK(ss_set_user_data(event, &of_event, count_call));
    CHECK_OK(ss_set_user_data(loop, &of_loop, count_call));
    CHECK(ss_user_data(event) == &of_event);
    CHECK(ss_user_data(loop) == &of_loop);
    CHECK_OK(ss_release(event));
    CHECK_EQ(of_event, 1);
    CHECK_EQ(of_loop, 0);
    CHECK_OK(ss_release(loop));
    CHECK_EQ(of_loop, 1);
}

static void use_the_library(void *user_data)
{
    ss_loop *loop = new_loop();
    ss_server *server = ss_new(loop);
    CHECK(server != NULL);
    CHECK_OK(ss_release(loop));
    ++*(int *)user_data;
}

CASE_ON_EACH_TARGET(a_destructor_may_call_the_library)
{
    int destroyed = 0;
    CHECK_OK(ss_add_listener_full(target, "x", count_event, &destroyed, use_the_library, false, 0));
    CHECK_OK(ss_remove_listener(target, "x", count_event, &destroyed, false));
    CHECK_EQ(destroyed, 1);
    CHECK_OK(ss_set_user_data(target, &destroyed, use_the_library));
    CHECK_OK(ss_set_user_data(target, NULL, NULL));
    CHECK_EQ(destroyed, 2);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(listeners_run_by_priority_and_then_in_the_order_of_adding),
        CASE(a_priority_is_fixed_until_the_listener_is_removed),
        CASE(a_listener_is_the_pair_of_function_and_user_data),
        CASE(a_capture_registration_is_another_one_and_never_runs_here),
        CASE(removing_an_unknown_listener_has_no_effect),
        CASE(types_are_compared_by_their_text),
        CASE(a_thousand_listeners_all_run),
        CASE(null_arguments_are_type_errors),
        CASE(dispatch_says_whether_the_default_was_prevented),
        CASE(only_immediate_stopping_keeps_the_other_listeners_out),
        CASE(a_listener_added_during_a_dispatch_waits_for_the_next),
        CASE(removing_a_listener_during_a_dispatch_skips_it),
        CASE(a_listener_that_removes_itself_does_not_hide_the_next),
        CASE(removing_every_listener_ends_the_dispatch),
        CASE(a_nested_dispatch_walks_the_list_of_its_own_moment),
        CASE(the_257th_nested_dispatch_is_refused_and_the_outer_ones_go_on),
        CASE(an_event_knows_its_target_from_the_dispatch_on),
        CASE(an_event_that_was_delivered_goes_out_again_as_a_clone),
        CASE(an_event_that_nobody_heard_is_not_cloned),
        CASE(a_clone_keeps_the_nature_and_forgets_the_history),
        CASE(a_clone_of_a_clone_outlives_both),
        CASE(an_event_describes_itself_like_snprintf),
        CASE(a_host_made_event_of_a_socket_type_carries_nothing),
        CASE(a_borrowed_event_dies_with_its_dispatch_unless_retained),
        CASE(an_event_released_by_its_listener_lives_to_the_end_of_the_dispatch),
        CASE(dispatch_works_on_a_closed_object),
        CASE(the_destructor_of_a_listener_runs_once_when_it_is_removed),
        CASE(an_ignored_duplicate_does_not_destroy_what_the_first_still_uses),
        CASE(a_listener_that_removes_itself_is_destroyed_after_the_dispatch),
        CASE(listeners_and_user_data_are_destroyed_once_with_their_object),
        CASE(replaced_user_data_is_destroyed_once),
        CASE(events_and_loops_carry_user_data_too),
        CASE(a_destructor_may_call_the_library),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
