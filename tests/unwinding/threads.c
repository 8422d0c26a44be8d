/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that end inside a listener, a task or a destructor, or while their loop waits (pthread_exit, pthread_cancel), and
 * processes that do (exit). The thread's loop ends with it, like any other; the loops of others hear nothing of it. */
#include "../c/check.h"

/* ---- A thread with a loop, and the main thread with another ---- */

typedef enum {
    IN_LISTENER,
    IN_TASK,
    IN_OWN_EVENT,
    IN_OTHER_LOOP,
    IN_DESTRUCTOR,
    AT_CANCELLATION_POINT,
    WHILE_IT_RUNS,
    WHILE_IT_POLLS,
    PLACES
} place;

static const char *const place_names[] = {"listener",   "task", "own event", "another loop's task", "destructor", "cancellation point",
                                          "waiting run", "waiting poll"};

static place where;
static int ends[2];          /* the thread's port comes through this pipe, then one byte when it is where it is to end */
static int marker;
static ss_loop *main_loop;
static ss_server *main_server;
static int bystander, accepted;

/* What is to happen once, whoever ends the thread. */
static int unwound, destroyed_listener, destroyed_word, cancelled_task;

static void tell(const void *bytes, size_t size)
{
    CHECK_EQ(write(ends[1], bytes, size), (long long)size);
}

static void hear(void *bytes, size_t size)
{
    CHECK_EQ(read(ends[0], bytes, size), (long long)size);
}

static void end_thread(void)
{
    pthread_exit(&marker);
}

static void end_in_task(void *user_data)
{
    (void)user_data;
    end_thread();
}

static void end_in_own_event(ss_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    end_thread();
}

static void never(void *user_data)
{
    (void)user_data;
    check_fail(__FILE__, __LINE__, "the task runs");
}

static void release_loop(void *user_data)
{
    CHECK_OK(ss_release(user_data));
}

/* The peer has said something. */
static void on_data(ss_event *event, void *user_data)
{
    ss_object *socket = ss_event_target(event);
    ss_loop *other;
    ss_event *own;
    (void)user_data;
    if (where >= WHILE_IT_RUNS) return;
    CHECK_OK(ss_loop_post(NULL, where == IN_TASK ? end_in_task : never, &cancelled_task, where == IN_TASK ? NULL : count_call));
    switch (where) {
    case IN_LISTENER: end_thread(); break;
    case IN_TASK: CHECK_OK(ss_loop_post(NULL, never, &cancelled_task, count_call)); break;
    case IN_OWN_EVENT:
        CHECK_OK(ss_add_listener(socket, "own", end_in_own_event, NULL, false, 0));
        own = ss_event_new("own", false, false);
        CHECK_OK(ss_dispatch_event(socket, own, NULL));
        break;
    case IN_OTHER_LOOP:
        other = new_loop();
        pthread_cleanup_push(release_loop, other);
        CHECK_OK(ss_loop_post(other, end_in_task, NULL, NULL));
        CHECK_OK(ss_loop_poll(other, 1000, NULL));
        pthread_cleanup_pop(1);
        break;
    case IN_DESTRUCTOR:
        CHECK_OK(ss_set_user_data(socket, NULL, end_in_task));
        CHECK_OK(ss_set_user_data(socket, NULL, NULL));
        break;
    case AT_CANCELLATION_POINT:
        tell("x", 1);
        for (;;) {
            pthread_testcancel();
            poll(NULL, 0, 1);
        }
        break;
    default: break;
    }
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    (void)user_data;
    CHECK_OK(ss_retain(socket));
    if (where >= WHILE_IT_RUNS) {
        CHECK_OK(ss_loop_post(NULL, count_call, &cancelled_task, count_call)); /* either will do */
        CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    }
    CHECK_OK(ss_add_listener_full(socket, SS_EVENT_SOCKET_DATA, on_data, &destroyed_listener, count_call, false, 0));
}

static void serve(void)
{
    ss_server *server = new_listening_server(NULL);
    int32_t port = ss_local_port(server);
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0));
    CHECK_OK(ss_set_user_data(server, &destroyed_word, count_call));
    tell(&port, sizeof port);
    while (where == WHILE_IT_POLLS) CHECK_OK(ss_loop_poll(NULL, -1, NULL));
    CHECK_OK(ss_loop_run(NULL));
}

static void *thread_main(void *user_data)
{
    pthread_cleanup_push(count_call, &unwound);
    serve();
    pthread_cleanup_pop(0);
    return user_data;
}

static void begin(void)
{
    CHECK_EQ(pipe(ends), 0);
    main_loop = new_loop();
    main_server = new_listening_server(main_loop);
    CHECK_OK(ss_add_listener(main_server, SS_EVENT_CONNECT, accept_echo, &accepted, false, 0));
    bystander = client_connect(ss_local_port(main_server));
    PUMP_UNTIL(main_loop, accepted == 1);
}

static void finish(void)
{
    client_check_echo(main_loop, bystander, 100000);
    CHECK_EQ(close(bystander), 0);
    CHECK_OK(ss_release(main_loop));
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* Starts the thread and connects to it. */
static pthread_t start(place here, int *client)
{
    pthread_t thread;
    int32_t port;
    where = here;
    snprintf(check_context, sizeof check_context, "the thread ends in: %s", place_names[here]);
    unwound = destroyed_listener = destroyed_word = cancelled_task = 0;
    CHECK_EQ(pthread_create(&thread, NULL, thread_main, NULL), 0);
    hear(&port, sizeof port);
    *client = client_connect(port);
    return thread;
}

/* The thread ends with `result`; its loop has ended as every loop does, and main's goes on. */
static void check_ended(pthread_t thread, int client, void *result)
{
    void *seen = NULL;
    CHECK_EQ(pthread_join(thread, &seen), 0);
    CHECK(seen == result);
    CHECK_EQ(unwound, 1);
    CHECK_EQ(destroyed_listener, 1);
    CHECK_EQ(destroyed_word, 1);
    CHECK_EQ(cancelled_task, 1);
    client_end(NULL, client);
    CHECK_EQ(close(client), 0);
    client_check_echo(main_loop, bystander, 1000);
}

static void a_thread_that_exits_takes_its_loop_with_it(void)
{
    int here, client;
    begin();
    for (here = IN_LISTENER; here <= IN_DESTRUCTOR; ++here) {
        pthread_t thread = start((place)here, &client);
        client_send(NULL, client, "x", 1);
        check_ended(thread, client, &marker);
    }
    finish();
}

static void a_thread_that_is_cancelled_in_a_listener_takes_its_loop_with_it(void)
{
    char byte;
    int client;
    pthread_t thread;
    begin();
    thread = start(AT_CANCELLATION_POINT, &client);
    client_send(NULL, client, "x", 1);
    hear(&byte, 1);
    CHECK_EQ(pthread_cancel(thread), 0);
    check_ended(thread, client, PTHREAD_CANCELED);
    finish();
}

/* Its loop waits for what will never come. */
static void a_thread_that_is_cancelled_while_its_loop_waits_takes_it_with_it(void)
{
    int here, client;
    begin();
    for (here = WHILE_IT_RUNS; here <= WHILE_IT_POLLS; ++here) {
        pthread_t thread = start((place)here, &client);
        client_check_echo(NULL, client, 1000);
        poll(NULL, 0, 50); /* it waits, most probably */
        CHECK_EQ(pthread_cancel(thread), 0);
        check_ended(thread, client, PTHREAD_CANCELED);
    }
    finish();
}

/* Wherever it is, inside the library or out of it. */
static void a_thread_that_is_cancelled_amid_traffic_takes_its_loop_with_it(void)
{
    int round, client;
    begin();
    for (round = 0; round < 50; ++round) {
        pthread_t thread = start(round % 2 ? WHILE_IT_RUNS : WHILE_IT_POLLS, &client);
        client_check_echo(NULL, client, 1000 + 10000 * (size_t)round);
        client_send(NULL, client, place_names, 64);
        CHECK_EQ(pthread_cancel(thread), 0);
        check_ended(thread, client, PTHREAD_CANCELED);
    }
    finish();
}

/* ---- Processes that end inside a listener or a destructor ---- */

static void use_the_library(void)
{
    ss_loop_poll(ss_loop_default(), 0, NULL);
    ss_release(ss_new(NULL));
    ss_loop_post(ss_loop_default(), count_call, &unwound, count_call);
}

static void use_the_library_and_release(void *user_data)
{
    (void)user_data;
    use_the_library();
}

static void exit_in_listener(ss_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    exit(7);
}

static void exit_in_task(void *user_data)
{
    (void)user_data;
    exit(7);
}

/* Ends the process with 7, in one of five places. */
static void end_process(int variant)
{
    ss_server *server = new_listening_server(NULL);
    CHECK_EQ(atexit(use_the_library), 0);
    CHECK_OK(ss_add_listener_full(server, "own", exit_in_listener, NULL, use_the_library_and_release, false, 0));
    CHECK_OK(ss_set_user_data(server, NULL, variant == 2 ? exit_in_task : use_the_library_and_release));
    switch (variant) {
    case 0: CHECK_OK(ss_dispatch_event(server, ss_event_new("own", false, false), NULL)); break;
    case 1: CHECK_OK(ss_loop_post(NULL, exit_in_task, NULL, NULL)); break;
    case 2: CHECK_OK(ss_release(server)); break;
    default: exit(7);
    }
    CHECK_OK(ss_loop_run(NULL));
}

static void a_process_may_exit_inside_the_hosts_functions(void)
{
    int variant, status = 0;
    for (variant = 0; variant < 4; ++variant) {
        pid_t child = fork();
        CHECK(child >= 0);
        snprintf(check_context, sizeof check_context, "variant %d", variant);
        if (child == 0) {
            end_process(variant);
            _exit(1);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 7);
    }
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(a_thread_that_exits_takes_its_loop_with_it),
        CASE(a_thread_that_is_cancelled_in_a_listener_takes_its_loop_with_it),
        CASE(a_thread_that_is_cancelled_while_its_loop_waits_takes_it_with_it),
        CASE(a_thread_that_is_cancelled_amid_traffic_takes_its_loop_with_it),
        CASE(a_process_may_exit_inside_the_hosts_functions),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
