/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Listeners, tasks and destructors that do not return: compiled as C they jump out (longjmp), compiled as C++ they throw.
 * What they leave with comes out of the call that ran them, in the host's own hands, and from then on it is as if they had
 * returned: the loop goes on, nothing that was ready is lost, every destructor runs once. */
#include "../c/check.h"

#ifdef __cplusplus
#include <stdexcept>
#include <string>
#else
#include <setjmp.h>
#endif

/* ---- Ways out ---- */

/* A turn that was jumped out of is noticed by a poll whose stack is no deeper: what may be left is called from deep down. */
enum { DEPTH = 32768 };

static void call_from_deep_down(void (*call)(void))
{
    volatile char stack[DEPTH];
    stack[0] = stack[DEPTH - 1] = 0;
    call();
    stack[0] = 1; /* else the call may take the place of this frame */
}

#ifdef __cplusplus
struct departure {
    int number;
};

static void leave(int number)
{
    throw departure{number};
}

/* Calls `call`. What leaves it comes out here: its number; 0 if it returns. */
static int attempt(void (*call)(void))
{
    try {
        call_from_deep_down(call);
    } catch (const departure &left) {
        return left.number;
    }
    return 0;
}
#else
static jmp_buf *way_out;
static int left_with;

static void leave(int number)
{
    left_with = number;
    longjmp(*way_out, 1);
}

static int attempt(void (*call)(void))
{
    jmp_buf here;
    jmp_buf *volatile outer = way_out;
    int number;
    way_out = &here;
    if (setjmp(here) == 0) call_from_deep_down(call);
    way_out = outer;
    number = left_with;
    left_with = 0;
    return number;
}
#endif

/* ---- The scene ---- */

static ss_loop *loop;
static ss_server *server;
static int bystander;      /* a peer that is echoed to, whatever others do */
static int accepted;
static void (*drive)(void); /* how the host drives its loop */

static void turn(void)
{
    CHECK_OK(ss_loop_poll(loop, 1000, NULL));
}

static void run(void)
{
    CHECK_OK(ss_loop_run(loop));
}

/* Drives the loop until something leaves it. */
static int next_departure(void)
{
    int64_t end = now_ms() + patience_ms();
    int number = 0;
    while (number == 0) {
        CHECK(now_ms() < end);
        number = attempt(drive);
    }
    return number;
}

/* The socket that the next client is accepted with, retained, and the client. It has no listeners. */
static ss_socket *accept_one(int *fd)
{
    ss_socket *socket;
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false));
    socket = accept_client(loop, server, fd);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    return socket;
}

static void poll_in_vain(void *user_data)
{
    (void)user_data;
    CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_poll(loop, 0, NULL));
    CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_run(loop));
    CHECK_OK(ss_loop_stop(loop));
}

/* The loop is as usable as any: old peers and new ones are served, it runs and stops, and no turn is thought to go on. */
static void check_served(void)
{
    int fd, before = accepted;
    client_check_echo(loop, bystander, 100000);
    fd = client_connect(ss_local_port(server));
    PUMP_UNTIL(loop, accepted == before + 1);
    client_check_echo(loop, fd, 1000);
    CHECK_OK(ss_loop_post(loop, poll_in_vain, NULL, NULL));
    CHECK_OK(ss_loop_run(loop));
    CHECK_EQ(close(fd), 0);
    settle(loop);
}

/* Plays a scene with a host that polls, and with one that runs its loop. */
static void play(void (*scene)(void))
{
    static void (*const drives[])(void) = {turn, run};
    size_t i;
    for (i = 0; i < COUNT_OF(drives); ++i) {
        snprintf(check_context, sizeof check_context, "the host %s", i == 0 ? "polls" : "runs its loop");
        drive = drives[i];
        accepted = 0;
        loop = new_loop();
        server = new_listening_server(loop);
        CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
        bystander = client_connect(ss_local_port(server));
        PUMP_UNTIL(loop, accepted == 1);
        scene();
        check_served();
        CHECK_OK(ss_release(loop));
        CHECK_EQ(close(bystander), 0);
    }
    check_context[0] = '\0';
}

/* ---- Listeners of the library's events ---- */

static void leave_at_connect(ss_event *event, void *user_data)
{
    if (user_data) keep_socket(event, user_data);
    leave(1);
}

static void connect_scene(void)
{
    ss_socket *kept = NULL;
    ss_stats stats;
    int fd;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, leave_at_connect, &kept, false, 1));
    fd = client_connect(ss_local_port(server));
    CHECK_EQ(next_departure(), 1);
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, leave_at_connect, &kept, false));
    CHECK(ss_socket_connected(kept));
    CHECK_OK(ss_add_listener(kept, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    client_check_echo(loop, fd, 1000);
    CHECK_OK(ss_release(kept));
    CHECK_EQ(client_end(loop, fd), 0);
    CHECK_EQ(close(fd), 0);

    /* Whom nobody has kept is turned away. */
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, leave_at_connect, NULL, false, 1));
    fd = client_connect(ss_local_port(server));
    CHECK_EQ(next_departure(), 1);
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, leave_at_connect, NULL, false));
    client_end(loop, fd);
    CHECK_EQ(close(fd), 0);
    stats.size = sizeof stats;
    CHECK_OK(ss_server_stats(server, &stats));
    CHECK_EQ(stats.refused, 1);
}

static void a_connect_listener_leaves(void)
{
    play(connect_scene);
}

static void leave_at_data(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    char two[2];
    if (++*(int *)user_data > 1) return;
    CHECK_OK(ss_socket_read_bytes(socket, two, 2));
    CHECK_OK(ss_socket_write_bytes(socket, "answer", 6));
    leave(2);
}

/* What it has written is sent, and what it has not read stays. */
static void data_scene(void)
{
    char bytes[10];
    int fd, heard = 0;
    ss_socket *socket = accept_one(&fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, leave_at_data, &heard, false, 0));
    client_send(loop, fd, "12345", 5);
    CHECK_EQ(next_departure(), 2);
    client_receive(loop, fd, bytes, 6);
    CHECK_EQ(memcmp(bytes, "answer", 6), 0);
    client_send(loop, fd, "67890", 5);
    PUMP_UNTIL(loop, heard == 2);
    CHECK_EQ(ss_socket_bytes_available(socket), 8);
    CHECK_OK(ss_socket_read_bytes(socket, bytes, 8));
    CHECK_EQ(memcmp(bytes, "34567890", 8), 0);
    CHECK_OK(ss_release(socket));
    CHECK_EQ(close(fd), 0);
}

static void a_data_listener_leaves(void)
{
    play(data_scene);
}

static void leave_and_count(ss_event *event, void *user_data)
{
    (void)event;
    leave(++*(int *)user_data);
}

static void close_scene(void)
{
    char bytes[5];
    int fd, closes = 0;
    ss_socket *socket = accept_one(&fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, leave_and_count, &closes, false, 0));
    client_send(loop, fd, "12345", 5);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(next_departure(), 1);
    settle(loop);
    CHECK_EQ(closes, 1);
    CHECK(!ss_socket_connected(socket));
    CHECK_OK(ss_socket_read_bytes(socket, bytes, 5));
    CHECK_OK(ss_release(socket));
}

static void a_close_listener_leaves(void)
{
    play(close_scene);
}

/* The end of the connection is still to be told, once. */
static void error_scene(void)
{
    int fd, errors = 0, closes = 0;
    ss_socket *socket = accept_one(&fd);
    size_t size = 20000000;
    unsigned char *much = new_pattern(size);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_IO_ERROR, leave_and_count, &errors, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CLOSE, count_event, &closes, false, 0));
    CHECK_OK(ss_socket_write_bytes(socket, much, size));
    CHECK_OK(ss_socket_flush(socket));
    client_reset(fd);
    CHECK_EQ(next_departure(), 1);
    PUMP_UNTIL(loop, closes == 1);
    settle(loop);
    CHECK_EQ(errors, 1);
    CHECK_EQ(closes, 1);
    CHECK_OK(ss_release(socket));
    free(much);
}

static void an_error_listener_leaves(void)
{
    play(error_scene);
}

static void leave_at_progress(ss_event *event, void *user_data)
{
    (void)event;
    if (++*(int *)user_data <= 2) leave(*(int *)user_data);
}

static void progress_scene(void)
{
    int fd, progress = 0;
    ss_socket *socket = accept_one(&fd);
    size_t size = 20000000;
    unsigned char *much = new_pattern(size), *received = (unsigned char *)malloc(size);
    CHECK(received != NULL);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, leave_at_progress, &progress, false, 0));
    CHECK_OK(ss_socket_write_bytes(socket, much, size));
    CHECK_EQ(next_departure(), 1);
    client_receive(NULL, fd, received, 3000000);
    CHECK_EQ(next_departure(), 2);
    client_receive(loop, fd, received + 3000000, size - 3000000);
    CHECK_EQ(memcmp(much, received, size), 0);
    CHECK_OK(ss_release(socket));
    CHECK_EQ(close(fd), 0);
    free(received);
    free(much);
}

static void a_progress_listener_leaves(void)
{
    play(progress_scene);
}

/* ---- What was ready in the same turn ---- */

enum { MANY = 20 };

static void everybody_scene(void)
{
    ss_socket *sockets[MANY];
    int fds[MANY], heard[MANY] = {0}, connects = 0, i;
    for (i = 0; i < MANY; ++i) {
        sockets[i] = accept_one(&fds[i]);
        CHECK_OK(ss_add_listener(sockets[i], SS_EVENT_SOCKET_DATA, leave_and_count, &heard[i], false, 0));
    }
    for (i = 0; i < MANY; ++i) client_send(NULL, fds[i], "x", 1);
    for (i = 0; i < MANY; ++i) CHECK_EQ(next_departure(), 1);
    for (i = 0; i < MANY; ++i) {
        CHECK_EQ(heard[i], 1);
        CHECK_EQ(ss_socket_bytes_available(sockets[i]), 1);
        CHECK_OK(ss_release(sockets[i]));
        CHECK_EQ(close(fds[i]), 0);
    }

    /* Those who wait to be accepted, too. */
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, leave_and_count, &connects, false, 1));
    for (i = 0; i < MANY; ++i) fds[i] = client_connect(ss_local_port(server));
    for (i = 0; i < MANY; ++i) CHECK_EQ(next_departure(), i + 1);
    CHECK_OK(ss_remove_listener(server, SS_EVENT_CONNECT, leave_and_count, &connects, false));
    for (i = 0; i < MANY; ++i) {
        client_end(loop, fds[i]);
        CHECK_EQ(close(fds[i]), 0);
    }
}

static void everybody_who_is_ready_in_one_turn_leaves(void)
{
    play(everybody_scene);
}

static int tasks_run;

static void leave_from_task(void *user_data)
{
    CHECK_EQ(*(int *)user_data, tasks_run);
    leave(++tasks_run);
}

static void task_scene(void)
{
    int numbers[MANY], i;
    tasks_run = 0;
    for (i = 0; i < MANY; ++i) {
        numbers[i] = i;
        CHECK_OK(ss_loop_post(loop, leave_from_task, &numbers[i], NULL));
    }
    for (i = 0; i < MANY; ++i) CHECK_EQ(next_departure(), i + 1);
    settle(loop);
    CHECK_EQ(tasks_run, MANY);
}

static void tasks_leave(void)
{
    play(task_scene);
}

static ss_timer *own_timer;

static void release_timer_and_leave(void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_release(own_timer));
    leave(++tasks_run);
}

/* Those that are due in the same turn follow in the next one, one that repeats goes on, and one that ends in its own task is
 * destroyed once. */
static void timer_scene(void)
{
    ss_timer *timers[MANY], *again;
    int numbers[MANY], destroyed = 0, i;
    tasks_run = 0;
    for (i = 0; i < MANY; ++i) {
        numbers[i] = i;
        timers[i] = ss_timer_new(loop, 0, 0, leave_from_task, &numbers[i], NULL);
    }
    for (i = 0; i < MANY; ++i) CHECK_EQ(next_departure(), i + 1);
    again = ss_timer_new(loop, 0, 1, leave_from_task, &tasks_run, NULL);
    for (i = 0; i < MANY; ++i) CHECK_EQ(next_departure(), MANY + i + 1);
    CHECK_OK(ss_release(again));
    own_timer = ss_timer_new(loop, 0, 1, release_timer_and_leave, &destroyed, count_call);
    CHECK_EQ(next_departure(), 2 * MANY + 1);
    settle(loop);
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(tasks_run, 2 * MANY + 1);
    for (i = 0; i < MANY; ++i) CHECK_OK(ss_release(timers[i]));
}

static void timers_leave(void)
{
    play(timer_scene);
}

/* ---- Events of the host's own ---- */

static ss_server *target; /* of own events */

static void dispatch_own(void)
{
    ss_event *event = ss_event_new("own", false, false);
    ss_status status = ss_dispatch_event(target, event, NULL);
    CHECK_EQ(status, SS_OK);
    CHECK_OK(ss_release(event));
}

static void dispatch_to_nobody(void)
{
    ss_event *event = ss_event_new("nobody", false, false);
    bool not_prevented = false;
    CHECK_OK(ss_dispatch_event(target, event, &not_prevented));
    CHECK(not_prevented);
    CHECK_OK(ss_release(event));
}

/* Far more often than dispatches may be nested; and outside of all loops. */
static void own_scene(void)
{
    int i, calls = 0, destroyed = 0;
    target = ss_new(loop);
    CHECK_OK(ss_add_listener_full(target, "own", leave_and_count, &calls, count_call, false, 0));
    for (i = 1; i <= 1000; ++i) {
        CHECK_EQ(attempt(dispatch_own), i);
        CHECK_OK(ss_loop_poll(loop, 0, NULL));
    }
    dispatch_to_nobody();
    CHECK_OK(ss_remove_listener(target, "own", leave_and_count, &calls, false));
    CHECK_EQ(calls, 1001); /* its destructor counts there, too */
    CHECK_OK(ss_add_listener_full(target, "own", leave_and_count, &calls, NULL, false, 0));
    CHECK_OK(ss_set_user_data(target, &destroyed, count_call));
    CHECK_EQ(attempt(dispatch_own), 1002);
    CHECK_OK(ss_release(target));
    CHECK_OK(ss_loop_poll(loop, 0, NULL));
    CHECK_EQ(destroyed, 1);
}

static void a_listener_of_an_own_event_leaves_a_thousand_times(void)
{
    play(own_scene);
}

static int inside, after_inside, caught_inside;

static void dispatch_in_listener(ss_event *event, void *user_data)
{
    ss_socket *socket = (ss_socket *)ss_event_target(event);
    CHECK_OK(ss_socket_skip(socket, ss_socket_bytes_available(socket)));
    ++inside;
    if (user_data) {
        caught_inside = attempt(dispatch_own); /* the host's own way out lies between */
        dispatch_to_nobody();
    } else {
        dispatch_own();
    }
    ++after_inside;
}

/* Out of a dispatch within a turn: as far as the host's own hands, be they in the listener or around the turn. */
static void nested_scene(void)
{
    int fd, calls = 0;
    ss_socket *socket = accept_one(&fd);
    target = ss_new(loop);
    inside = after_inside = caught_inside = 0;
    CHECK_OK(ss_add_listener(target, "own", leave_and_count, &calls, false, 0));

    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, dispatch_in_listener, &calls, false, 0));
    client_send(loop, fd, "x", 1);
    PUMP_UNTIL(loop, after_inside == 1);
    CHECK_EQ(caught_inside, 1);
    check_served();
    CHECK_OK(ss_remove_listener(socket, SS_EVENT_SOCKET_DATA, dispatch_in_listener, &calls, false));

    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, dispatch_in_listener, NULL, false, 0));
    client_send(NULL, fd, "x", 1);
    CHECK_EQ(next_departure(), 2);
    CHECK_EQ(inside, 2);
    CHECK_EQ(after_inside, 1);
    check_served();
    CHECK_OK(ss_release(target));
    CHECK_OK(ss_release(socket));
    CHECK_EQ(close(fd), 0);
}

static void a_listener_leaves_a_dispatch_inside_a_turn(void)
{
    play(nested_scene);
}

/* ---- Loops inside loops ---- */

static ss_loop *inner;
static int inner_ran;

static void turn_inner(void)
{
    CHECK_OK(ss_loop_poll(inner, 1000, NULL));
}

static void leave_from_inner(void *user_data)
{
    (void)user_data;
    leave(++inner_ran);
}

static void count_inner(void *user_data)
{
    (void)user_data;
    ++inner_ran;
}

static void poll_inner_and_catch(void *user_data)
{
    int i;
    (void)user_data;
    for (i = 1; i <= 5; ++i) {
        CHECK_OK(ss_loop_post(inner, leave_from_inner, NULL, NULL));
        CHECK_EQ(attempt(turn_inner), i);
        CHECK_STATUS(SS_ERR_REENTRANT, ss_loop_poll(loop, 0, NULL)); /* the outer turn goes on */
    }
    ++after_inside;
}

static void poll_inner(void *user_data)
{
    (void)user_data;
    CHECK_OK(ss_loop_post(inner, leave_from_inner, NULL, NULL));
    turn_inner();
    check_fail(__FILE__, __LINE__, "the inner turn returns");
}

static void inner_scene(void)
{
    int i;
    inner = new_loop();
    inner_ran = after_inside = 0;
    CHECK_OK(ss_loop_post(loop, poll_inner_and_catch, NULL, NULL));
    PUMP_UNTIL(loop, after_inside == 1);
    CHECK_EQ(inner_ran, 5);
    for (i = 0; i < 5; ++i) {
        CHECK_OK(ss_loop_post(loop, poll_inner, NULL, NULL));
        CHECK_EQ(next_departure(), 6 + i);
        check_served();
        CHECK_OK(ss_loop_post(inner, count_inner, NULL, NULL));
        PUMP_UNTIL(inner, inner_ran == 7 + i);
        --inner_ran;
    }
    CHECK_OK(ss_release(inner));
}

static void a_task_leaves_a_loop_that_a_task_of_another_loop_polls(void)
{
    play(inner_scene);
}

/* ---- Destructors ---- */

static ss_object *victim;
static int calls_of_destructor[MANY];

static void leave_from_destructor(void *user_data)
{
    leave(++*(int *)user_data);
}

static void release_victim(void)
{
    ss_object *object = victim;
    victim = NULL;
    CHECK_OK(ss_release(object));
}

static void replace_user_data(void)
{
    CHECK_OK(ss_set_user_data(victim, NULL, NULL));
}

static void remove_from_victim(void)
{
    CHECK_OK(ss_remove_listener(victim, "own", count_event, &calls_of_destructor[0], false));
}

static void short_turn(void)
{
    CHECK_OK(ss_loop_poll(loop, 10, NULL));
}

/* Those that are due run once each, the latest in the turns that follow: each of them leaves. */
static void check_all_leave(int count, int departures)
{
    int64_t end = now_ms() + patience_ms();
    int i;
    while (departures < count) {
        CHECK(now_ms() < end);
        departures += attempt(short_turn) != 0;
    }
    settle(loop);
    for (i = 0; i < count; ++i) CHECK_EQ(calls_of_destructor[i], 1);
}

static void start_destructors(ss_object *object)
{
    memset(calls_of_destructor, 0, sizeof calls_of_destructor);
    victim = object;
    CHECK(victim != NULL);
}

static void destructor_scene(void)
{
    int fd, i;
    start_destructors(ss_new(loop));
    CHECK_OK(ss_set_user_data(victim, &calls_of_destructor[0], leave_from_destructor));
    check_all_leave(1, attempt(replace_user_data) != 0);
    CHECK(ss_user_data(victim) == NULL);

    start_destructors(victim);
    CHECK_OK(ss_add_listener_full(victim, "own", count_event, &calls_of_destructor[0], leave_from_destructor, false, 0));
    check_all_leave(1, attempt(remove_from_victim) != 0);
    CHECK(!ss_has_listener(victim, "own"));
    CHECK_OK(ss_release(victim));

    start_destructors(ss_event_new("own", false, false));
    CHECK_OK(ss_set_user_data(victim, &calls_of_destructor[0], leave_from_destructor));
    check_all_leave(1, attempt(release_victim) != 0);

    start_destructors(ss_value_new(SS_VALUE_OBJECT));
    CHECK_OK(ss_set_user_data(victim, &calls_of_destructor[0], leave_from_destructor));
    check_all_leave(1, attempt(release_victim) != 0);

    /* An object with many: its listeners' and its own. */
    start_destructors(accept_one(&fd));
    for (i = 1; i < MANY; ++i)
        CHECK_OK(ss_add_listener_full(victim, "own", count_event, &calls_of_destructor[i], leave_from_destructor, false, 0));
    CHECK_OK(ss_set_user_data(victim, &calls_of_destructor[0], leave_from_destructor));
    check_all_leave(MANY, attempt(release_victim) != 0);
    client_end(loop, fd);
    CHECK_EQ(close(fd), 0);
}

static void destructors_leave(void)
{
    play(destructor_scene);
}

/* Removes itself and its target, and leaves; what follows of it leaves, too. */
static void remove_all_and_leave(ss_event *event, void *user_data)
{
    ss_object *object = ss_event_target(event);
    CHECK_OK(ss_remove_listener(object, ss_event_type(event), remove_all_and_leave, user_data, false));
    CHECK_OK(ss_release(object));
    CHECK_EQ(*(int *)user_data, 0); /* a destructor waits for the end of its listener */
    leave(100);
}

static void destructor_after_listener_scene(void)
{
    int fd, departures = 0, listeners = 0;
    int64_t end = now_ms() + patience_ms();
    start_destructors(accept_one(&fd));
    CHECK_OK(ss_add_listener_full(victim, SS_EVENT_SOCKET_DATA, remove_all_and_leave, &calls_of_destructor[0],
                                  leave_from_destructor, false, 0));
    CHECK_OK(ss_set_user_data(victim, &calls_of_destructor[1], leave_from_destructor));
    client_send(loop, fd, "x", 1);
    while (departures < 3) {
        int number = attempt(short_turn);
        CHECK(now_ms() < end);
        departures += number != 0;
        listeners += number == 100;
    }
    CHECK_EQ(listeners, 1);
    settle(loop);
    CHECK_EQ(calls_of_destructor[0], 1);
    CHECK_EQ(calls_of_destructor[1], 1);
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(victim));
    client_end(loop, fd);
    CHECK_EQ(close(fd), 0);
}

static void a_listener_leaves_and_so_do_the_destructors_that_it_has_made_due(void)
{
    play(destructor_after_listener_scene);
}

static void release_inner(void)
{
    CHECK_OK(ss_release(inner));
}

/* The end of a loop is one all the same: its descriptors are closed, and what was to be told is told once. */
static void loop_end_scene(void)
{
    ss_server *other;
    int fd, i, departures, before = count_descriptors();
    inner = new_loop();
    other = new_listening_server(inner);
    start_destructors(accept_client(inner, other, &fd));
    for (i = 0; i < MANY; ++i) {
        int *calls = &calls_of_destructor[i];
        switch (i % 3) {
        case 0: CHECK_OK(ss_add_listener_full(other, "own", count_event, calls, leave_from_destructor, false, 0)); break;
        case 1: CHECK_OK(ss_add_listener_full(victim, "own", count_event, calls, leave_from_destructor, false, 0)); break;
        default: CHECK_OK(ss_loop_post(inner, count_call, calls, leave_from_destructor)); break;
        }
    }
    departures = attempt(release_inner) != 0;
    CHECK_EQ(departures, 1);
    check_all_leave(MANY, departures);
    CHECK_STATUS(SS_ERR_HANDLE, ss_loop_poll(inner, 0, NULL));
    CHECK_STATUS(SS_ERR_HANDLE, ss_release(other));
    CHECK_EQ(client_end(NULL, fd), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(count_descriptors(), before);
}

static void what_a_loop_still_had_leaves_at_its_end(void)
{
    play(loop_end_scene);
}

/* Nothing else is called in between. */
static void a_loop_that_was_left_can_be_released_at_once(void)
{
    int destroyed = 0, calls = 0, before = count_descriptors();
    loop = new_loop();
    server = new_listening_server(loop);
    CHECK_OK(ss_set_user_data(server, &destroyed, count_call));
    CHECK_OK(ss_loop_post(loop, leave_from_destructor, &calls, NULL));
    CHECK_EQ(attempt(turn), 1);
    CHECK_OK(ss_release(loop));
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(count_descriptors(), before);

    /* Nor does a socket need a turn for that, from whose listener the way out led. */
    loop = new_loop();
    drive = turn;
    destroyed = 0;
    target = ss_new(loop);
    CHECK_OK(ss_set_user_data(target, &destroyed, count_call));
    CHECK_OK(ss_add_listener(target, "own", leave_and_count, &calls, false, 0));
    CHECK_EQ(attempt(dispatch_own), 2);
    CHECK_OK(ss_release(loop));
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(count_descriptors(), before);
}

/* ---- Exceptions alone ---- */

#ifdef __cplusplus
/* A frame of the host's between the throw and the catch: it is unwound. */
struct frame {
    int *unwound;
    ~frame() { ++*unwound; }
};

static int unwound;

static void throw_an_error(ss_event *event, void *user_data)
{
    frame here = {&unwound};
    (void)event;
    (void)user_data;
    throw std::runtime_error("what the host has to say");
}

static void dispatch_and_throw_on(ss_event *event, void *user_data)
{
    frame here = {&unwound};
    (void)event;
    (void)user_data;
    dispatch_own();
}

static void exception_scene(void)
{
    int fd;
    std::string caught;
    ss_socket *socket = accept_one(&fd);
    target = ss_new(loop);
    unwound = 0;
    CHECK_OK(ss_add_listener(target, "own", throw_an_error, NULL, false, 0));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, dispatch_and_throw_on, NULL, false, 0));
    client_send(loop, fd, "x", 1);
    while (caught.empty()) {
        try {
            drive();
        } catch (const std::runtime_error &error) {
            caught = error.what();
        }
    }
    CHECK_TEXT(caught.c_str(), "what the host has to say");
    CHECK_EQ(unwound, 2);
    call_from_deep_down(short_turn); /* it has ended the turn as it passed: this one is no turn inside of that */
    CHECK_OK(ss_release(target));
    CHECK_OK(ss_release(socket));
    CHECK_EQ(close(fd), 0);
}

static void an_exception_arrives_as_it_was_thrown_and_unwinds_the_frames_between(void)
{
    play(exception_scene);
}
#endif

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(a_connect_listener_leaves),
        CASE(a_data_listener_leaves),
        CASE(a_close_listener_leaves),
        CASE(an_error_listener_leaves),
        CASE(a_progress_listener_leaves),
        CASE(everybody_who_is_ready_in_one_turn_leaves),
        CASE(tasks_leave),
        CASE(timers_leave),
        CASE(a_listener_of_an_own_event_leaves_a_thousand_times),
        CASE(a_listener_leaves_a_dispatch_inside_a_turn),
        CASE(a_task_leaves_a_loop_that_a_task_of_another_loop_polls),
        CASE(destructors_leave),
        CASE(a_listener_leaves_and_so_do_the_destructors_that_it_has_made_due),
        CASE(what_a_loop_still_had_leaves_at_its_end),
        CASE(a_loop_that_was_left_can_be_released_at_once),
#ifdef __cplusplus
        CASE(an_exception_arrives_as_it_was_thrown_and_unwinds_the_frames_between),
#endif
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
