/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How much threads with a loop of their own do together, without a load beside them that takes a core away.
 *
 *     scaling echo|dispatch threads|processes N MILLISECONDS
 *
 * echo: each thread is server and peers at once: it sends a message on each of its connections, turns its loop, takes the
 * answers. dispatch: each dispatches events to listeners, so that the system has no part in it. Prints {"rate": messages or
 * listener calls a second}. Threads of one process could be in each other's way in our library or in the system (which
 * counts references to the descriptors of a process with threads), processes cannot.
 */
#define _GNU_SOURCE
#include "own.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CONNECTIONS 32
#define MOST 64

/* Shared with the processes; a line of cache for each counter. */
static struct result { _Alignas(128) double rate; } *results;
static double milliseconds;
static pthread_barrier_t *together;

static void on_connect(ss_event *event, void *closed)
{
    own_keep(ss_event_socket(event), closed);
}

/* One step of the work; returns how much was done. */
typedef unsigned (*step)(void *state);

static void *repeat(step step, void *state, struct result *result)
{
    double start, end;
    uint64_t number = 0;

    step(state); /* makes what is made once */
    pthread_barrier_wait(together);
    start = now();
    for (end = start + milliseconds * 1e6; now() < end;)
        number += step(state);
    result->rate = (double)number / (now() - start) * 1e9;
    return NULL;
}

struct echo {
    ss_loop *loop;
    int peers[CONNECTIONS];
    uint8_t message[MESSAGE];
};

static unsigned echo_all(void *state)
{
    struct echo *echo = state;
    uint8_t answer[MESSAGE];

    echo->message[0]++;
    for (int i = 0; i < CONNECTIONS; i++)
        check(send(echo->peers[i], echo->message, MESSAGE, 0) == MESSAGE, "send");
    check(ss_loop_poll(echo->loop, 0, NULL) == SS_OK, "poll");
    for (int i = 0; i < CONNECTIONS; i++) {
        while (recv(echo->peers[i], answer, MESSAGE, MSG_DONTWAIT) != MESSAGE)
            check(ss_loop_poll(echo->loop, 0, NULL) == SS_OK, "poll"); /* the first turn accepts */
        check(memcmp(echo->message, answer, MESSAGE) == 0, "the answer");
    }
    return CONNECTIONS;
}

static void *echo(void *result)
{
    unsigned closed = 0;
    struct echo state = {.loop = ss_loop_new()};
    ss_server *server = own_server(state.loop, on_connect, &closed);

    for (int i = 0; i < CONNECTIONS; i++)
        state.peers[i] = own_peer(ss_local_port(server), 0);
    repeat(echo_all, &state, result);
    ss_release(server);
    ss_release(state.loop);
    return NULL;
}

struct dispatch {
    ss_server *target;
    ss_event *event;
    unsigned calls;
};

static void count(ss_event *event, void *calls)
{
    (void)event;
    ++*(unsigned *)calls;
}

static unsigned dispatch_some(void *state)
{
    struct dispatch *dispatch = state;
    unsigned before = dispatch->calls;

    for (int i = 0; i < 1000; i++)
        check(ss_dispatch_event(dispatch->target, dispatch->event, NULL) == SS_OK, "dispatch");
    return dispatch->calls - before;
}

static void *dispatch(void *result)
{
    struct dispatch state = {.target = ss_new(NULL), .event = ss_event_new("tick", false, false)};

    ss_add_listener(state.target, "tick", count, &state.calls, false, 0);
    repeat(dispatch_some, &state, result);
    ss_release(state.event);
    ss_release(state.target);
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*work)(void *) = argc > 1 && strcmp(argv[1], "dispatch") == 0 ? dispatch : echo;
    bool processes = argc > 2 && strcmp(argv[2], "processes") == 0;
    int number = argc > 3 ? atoi(argv[3]) : 1;
    pthread_barrierattr_t shared;
    pthread_t threads[MOST];
    double rate = 0;

    number = number < 1 ? 1 : number > MOST ? MOST : number;
    milliseconds = argc > 4 ? atof(argv[4]) : 500;
    results = mmap(NULL, 2 * MOST * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(results != MAP_FAILED, "mmap");
    together = (pthread_barrier_t *)&results[MOST];
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(together, &shared, (unsigned)number);

    for (int i = 0; i < number; i++) {
        if (!processes)
            check(pthread_create(&threads[i], NULL, work, &results[i]) == 0, "a thread");
        else if (fork() == 0) {
            work(&results[i]);
            _exit(0);
        }
    }
    for (int i = 0; i < number; i++) {
        int status = 0;
        check(processes ? wait(&status) > 0 && status == 0 : pthread_join(threads[i], NULL) == 0, "a worker");
        rate += results[i].rate;
    }
    printf("{\"rate\": %.0f}\n", rate);
    return 0;
}
