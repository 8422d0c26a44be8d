/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A server whose work is done by a pool of threads, so that a slow answer does not hold the others up: a client sends a number in
 * a line, and gets back how many primes there are below it.
 *
 *     build/workers [port; 0 = any, default 7003]       then:  nc 127.0.0.1 7003       SIGINT ends it
 *
 * What to copy from here: a job knows its socket by the handle alone. It holds no reference, and no thread but the loop's
 * touches it: the answer comes back by ss_loop_post. If the client has left meanwhile the handle is stale, and says so.
 */
#define _XOPEN_SOURCE 600
#include <pthread.h>
#include <server_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 4,
    MOST_JOBS = 1000,      /* without an answer yet; who asks for more is told so */
    LONGEST_LINE = 80,
    LARGEST_NUMBER = 100000000,
    MOST_PENDING = 1000000 /* unsent bytes of a client that does not read its answers */
};

struct job {
    struct job *next;
    ss_socket *socket;
    unsigned long number, primes;
};

static ss_loop *loop;

/* The queue, which all threads share. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static int is_over;

static int unanswered; /* jobs; the loop's thread counts them, and no other */

static unsigned long primes_below(unsigned long number)
{
    unsigned long count = 0, candidate, divisor;

    for (candidate = 2; candidate < number; candidate++) {
        for (divisor = 2; divisor * divisor <= candidate && candidate % divisor != 0; divisor++)
            ;
        count += divisor * divisor > candidate;
    }
    return count;
}

/* On the loop's thread: the answer. SS_ERR_HANDLE and SS_ERR_IO say that the client has left, which is no failure. */
static void answer(void *data)
{
    struct job *job = data;
    char text[64];
    int length = snprintf(text, sizeof text, "%lu: %lu\n", job->number, job->primes);

    ss_socket_write_bytes(job->socket, text, (size_t)length);
    unanswered--;
    free(job);
}

/* A worker's life. */
static void *work(void *argument)
{
    (void)argument;
    for (;;) {
        struct job *job;
        int is_wanted;

        pthread_mutex_lock(&lock);
        while (first == NULL && !is_over)
            pthread_cond_wait(&changed, &lock);
        job = first;
        if (job != NULL && (first = job->next) == NULL)
            last = &first;
        is_wanted = !is_over;
        pthread_mutex_unlock(&lock);
        if (job == NULL)
            return NULL;
        if (is_wanted)
            job->primes = primes_below(job->number);
        if (ss_loop_post(loop, answer, job, free) != SS_OK) /* free: if the loop ends before it comes to it */
            free(job);
    }
}

/* Returns whether there was room for it. */
static int enqueue(ss_socket *socket, unsigned long number)
{
    struct job *job = unanswered < MOST_JOBS ? calloc(1, sizeof *job) : NULL;

    if (job == NULL)
        return 0;
    job->socket = socket;
    job->number = number;
    unanswered++;
    pthread_mutex_lock(&lock);
    *last = job;
    last = &job->next;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return 1;
}

/* One line, without its end. Returns whether it is one. */
static int ask(ss_socket *socket, const char *line, size_t length)
{
    char text[LONGEST_LINE + 1];
    unsigned long number;

    if (length > LONGEST_LINE)
        return 0;
    memcpy(text, line, length); /* what is peeked at has no NUL behind it */
    text[length] = '\0';
    number = strtoul(text, NULL, 10);
    return number > LARGEST_NUMBER || !enqueue(socket, number) ? ss_socket_write_bytes(socket, "busy\n", 5) == SS_OK : 1;
}

/* Lines came in, or answers went out. */
static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length = 0, used = 0;
    const char *bytes = (const char *)ss_socket_peek(socket, &length), *end;
    int is_good = 1;

    (void)user_data;
    while (is_good && used < length && (end = memchr(bytes + used, '\n', length - used)) != NULL) {
        is_good = ask(socket, bytes + used, (size_t)(end - bytes) - used);
        used = (size_t)(end - bytes) + 1;
    }
    if (!is_good || length - used > LONGEST_LINE || ss_socket_skip(socket, used) != SS_OK)
        ss_socket_abort(socket);
    else if (ss_socket_bytes_pending(socket) > MOST_PENDING)
        ss_socket_pause(socket); /* who does not read its answers is not read from */
    else
        ss_socket_resume(socket);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);

    (void)user_data;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) == SS_OK &&
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, on_data, NULL, false, 0) == SS_OK)
        ss_socket_keep(socket); /* until its connection ends; else it is closed when this returns */
}

static void stop(int number)
{
    (void)number;
    ss_loop_stop(loop);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    ss_server *server;
    int i;

    loop = ss_loop_new();
    server = ss_new(loop);
    if (server == NULL || ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, argc > 1 ? atoi(argv[1]) : 7003, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK) {
        fprintf(stderr, "workers: %s\n", ss_last_error_detail());
        return EXIT_FAILURE;
    }
    for (i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) {
            perror("workers: a thread");
            return EXIT_FAILURE;
        }
    }
    signal(SIGINT, stop);
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    ss_loop_run(loop);

    pthread_mutex_lock(&lock);
    is_over = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ss_release(server);
    ss_release(loop); /* after those who post to it */
    return EXIT_SUCCESS;
}
