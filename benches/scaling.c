/* How many messages threads with a loop of their own serve together, without a load beside them that takes a core away.
 *
 *     scaling threads|processes N MILLISECONDS
 *
 * Each thread is server and peers at once: it sends a message on each of its connections, turns its loop, takes the
 * answers. Threads of one process could be in each other's way in our library; processes cannot, so that the difference is
 * the library's share of what is lost. Prints {"rate": messages a second}.
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

static void *work(void *argument)
{
    struct result *result = argument;
    unsigned closed = 0;
    ss_loop *loop = ss_loop_new();
    ss_server *server = own_server(loop, on_connect, &closed);
    int peers[CONNECTIONS];
    uint8_t message[MESSAGE] = {1}, answer[MESSAGE];
    uint64_t number = 0;
    double start = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        peers[i] = own_peer(ss_local_port(server), 0);
    pthread_barrier_wait(together);
    for (double end = 0; end == 0 || now() < end;) {
        for (int i = 0; i < CONNECTIONS; i++)
            check(send(peers[i], message, MESSAGE, 0) == MESSAGE, "send");
        check(ss_loop_poll(loop, 0, NULL) == SS_OK, "poll");
        for (int i = 0; i < CONNECTIONS; i++) {
            while (recv(peers[i], answer, MESSAGE, MSG_DONTWAIT) != MESSAGE)
                check(ss_loop_poll(loop, 0, NULL) == SS_OK, "poll"); /* in the first turn, which accepts */
            check(memcmp(message, answer, MESSAGE) == 0, "the answer");
        }
        if (end == 0) { /* the first round made what is made once */
            start = now();
            end = start + milliseconds * 1e6;
        } else
            number += CONNECTIONS;
        message[0]++;
    }
    result->rate = (double)number / (now() - start) * 1e9;
    ss_release(server);
    ss_release(loop);
    return NULL;
}

int main(int argc, char **argv)
{
    bool processes = argc > 1 && strcmp(argv[1], "processes") == 0;
    int number = argc > 2 ? atoi(argv[2]) : 1;
    pthread_barrierattr_t shared;
    pthread_t threads[MOST];
    double rate = 0;

    number = number < 1 ? 1 : number > MOST ? MOST : number;
    milliseconds = argc > 3 ? atof(argv[3]) : 500;
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
