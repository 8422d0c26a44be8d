/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An echo server on many cores: a thread for each, with a loop and a server of its own, all on one port. The system deals
 * the connections out; each lives on its thread from then on, and the threads share nothing.
 *
 *     build/multicore_echo [port; 0 = any, default 7000] [threads; default: one for each core]
 *
 * Ends at SIGINT or SIGTERM, and tells what each thread has done.
 */
#define _XOPEN_SOURCE 600 /* for sigwait and the descriptor limit */
#include <limits.h>
#include <pthread.h>
#include <server_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_THREADS 1024
#define MOST_PENDING 1000000 /* unsent bytes of one connection */

struct worker {
    pthread_t thread;
    int port;      /* to listen on; from the worker: the one it listens on, 0 if it cannot */
    ss_loop *loop; /* from the worker; it may be stopped from any thread */
    ss_stats stats;
};

/* How a worker tells that its loop, port and figures are there. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int started; /* so many workers have told */

static void echo(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length = 0;
    const uint8_t *bytes = ss_socket_take(socket, &length);

    (void)user_data;
    if (ss_socket_write_bytes(socket, bytes, length) != SS_OK)
        ss_socket_abort(socket);
    else if (ss_socket_bytes_pending(socket) > MOST_PENDING)
        ss_socket_pause(socket); /* who does not read is not read from, until outputProgress brings us back */
    else
        ss_socket_resume(socket);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, NULL, false, 0) != SS_OK ||
        ss_socket_keep(socket) != SS_OK)
        fprintf(stderr, "multicore_echo: %s\n", ss_last_error_detail());
}

static void tell(struct worker *worker, ss_loop *loop, int port)
{
    pthread_mutex_lock(&lock);
    worker->loop = loop;
    worker->port = port;
    started++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* A thread's life. Everything it makes belongs to it alone, so that nothing here is locked. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    ss_loop *loop = ss_loop_new();
    ss_server *server = ss_new(loop);

    if (server == NULL || ss_set_option(server, SS_OPT_REUSE_PORT, 1) != SS_OK ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, worker->port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK) {
        fprintf(stderr, "multicore_echo: cannot start: %s\n", ss_last_error_detail());
        tell(worker, loop, 0);
    } else {
        tell(worker, loop, (int)ss_local_port(server));
        ss_loop_run(loop); /* until main stops it */
        worker->stats.size = sizeof worker->stats;
        ss_server_stats(server, &worker->stats);
    }
    ss_release(server);
    ss_release(loop); /* and all its connections with it */
    return NULL;
}

/* Starts a worker and waits until it listens. Returns its port, 0 if it cannot. */
static int start(struct worker *worker, int port)
{
    int before = started;

    worker->port = port;
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        perror("multicore_echo: a thread");
        exit(EXIT_FAILURE);
    }
    pthread_mutex_lock(&lock);
    while (started == before)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return worker->port;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
#ifdef OPEN_MAX /* macOS refuses more than this */
    limit.rlim_cur = limit.rlim_cur < OPEN_MAX ? limit.rlim_cur : OPEN_MAX;
#endif
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        perror("multicore_echo: the descriptor limit stays as it was");
}

int main(int argc, char **argv)
{
    static struct worker workers[MAX_THREADS];
    int port = argc > 1 ? atoi(argv[1]) : 7000;
    long threads = argc > 2 ? atol(argv[2]) : sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t signals;
    int signal;

    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    raise_descriptor_limit();

    /* The workers inherit this, so that these signals come to main's sigwait and nowhere else. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    /* One after the other: any free port becomes a certain one with the first. */
    for (long i = 0; i < threads; i++) {
        port = start(&workers[i], port);
        if (port == 0)
            return EXIT_FAILURE;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);

    sigwait(&signals, &signal);
    for (long i = 0; i < threads; i++)
        ss_loop_stop(workers[i].loop);
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        printf("thread %ld: %llu connections, %llu bytes\n", i + 1, (unsigned long long)workers[i].stats.accepted,
               (unsigned long long)workers[i].stats.bytes_in);
    }
    return EXIT_SUCCESS;
}
