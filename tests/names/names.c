/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Name look-ups beside a name server that does not answer: names that begin with "slow" are looked up until the test ends; "here" is
 * this machine. The program's getaddrinfo takes the place of the C library's. */
#define _GNU_SOURCE
#include <server_socket.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int begun;

static int count_begun(void)
{
    pthread_mutex_lock(&mutex);
    int count = begun;
    pthread_mutex_unlock(&mutex);
    return count;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)service;
    (void)hints;
    if (strncmp(node, "slow", 4) == 0) {
        pthread_mutex_lock(&mutex);
        begun++;
        for (;;)
            pthread_cond_wait(&never, &mutex);
    }
    struct addrinfo *info = calloc(1, sizeof *info);
    struct sockaddr_in *address = calloc(1, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addrlen = sizeof *address;
    info->ai_addr = (struct sockaddr *)address;
    *found = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    free(info->ai_addr);
    free(info);
}

static void keep(ss_event *event, void *unused)
{
    (void)unused;
    ss_retain(ss_event_socket(event));
}

static ss_server *serve(void)
{
    ss_server *server = ss_new(NULL);
    CHECK(ss_add_listener(server, SS_EVENT_CONNECT, keep, NULL, false, 0) == SS_OK);
    CHECK(ss_bind(server, 0, "127.0.0.1") == SS_OK && ss_listen(server, 0) == SS_OK);
    return server;
}

/* The test's own deadline ends a program that hangs. */
static void connect_to_here(ss_server *server)
{
    ss_socket *socket = ss_socket_new(NULL);
    CHECK(ss_socket_connect(socket, "here", ss_local_port(server)) == SS_OK);
    while (!ss_socket_connected(socket))
        CHECK(ss_loop_poll(NULL, 20, NULL) == SS_OK);
    ss_release(socket);
}

/* Begins a look-up that never ends. */
static ss_socket *begin_slow(ss_loop *loop, int number)
{
    char name[32];
    snprintf(name, sizeof name, "slow%d", number);
    ss_socket *socket = ss_socket_new(loop);
    CHECK(ss_socket_connect(socket, name, 1) == SS_OK);
    int before = count_begun();
    while (count_begun() == before)
        CHECK(ss_loop_poll(loop, 1, NULL) == SS_OK);
    return socket;
}

static void given_up(void)
{
    ss_server *server = serve();
    for (int i = 0; i < 8; i++)
        ss_release(begin_slow(NULL, i));
    connect_to_here(server);
    /* Neither do four that somebody waits for, once they are given up. */
    ss_socket *slow[4];
    for (int i = 0; i < 4; i++)
        slow[i] = begin_slow(NULL, i);
    ss_socket *socket = ss_socket_new(NULL);
    CHECK(ss_socket_connect(socket, "here", ss_local_port(server)) == SS_OK);
    CHECK(ss_loop_poll(NULL, 0, NULL) == SS_OK && !ss_socket_connected(socket));
    for (int i = 0; i < 4; i++)
        CHECK(ss_socket_close(slow[i]) == SS_OK);
    while (!ss_socket_connected(socket))
        CHECK(ss_loop_poll(NULL, 20, NULL) == SS_OK);
}

static void queue(void)
{
    ss_server *server = serve();
    ss_socket *slow[4];
    for (int i = 0; i < 4; i++)
        slow[i] = begin_slow(NULL, i);
    /* All places are taken. */
    ss_socket *socket = ss_socket_new(NULL);
    for (int i = 0; i < 20000; i++) {
        char name[256];
        snprintf(name, sizeof name, "slow%0200d", i);
        CHECK(ss_socket_connect(socket, name, 1) == SS_OK);
        if (i % 100 == 99)
            CHECK(ss_loop_poll(NULL, 0, NULL) == SS_OK);
        CHECK(ss_socket_close(socket) == SS_OK);
    }
    CHECK(ss_socket_close(slow[0]) == SS_OK);
    connect_to_here(server);
    CHECK(count_begun() == 4);
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void ended_loop(void)
{
    int before = open_descriptors();
    ss_loop *loop = ss_loop_new();
    for (int i = 0; i < 4; i++)
        begin_slow(loop, i);
    CHECK(ss_socket_connect(ss_socket_new(loop), "slow and waiting", 1) == SS_OK);
    CHECK(ss_loop_poll(loop, 0, NULL) == SS_OK);
    CHECK(open_descriptors() > before);
    CHECK(ss_release(loop) == SS_OK);
    CHECK(open_descriptors() == before);
}

static volatile sig_atomic_t handled;

static void handle(int number)
{
    (void)number;
    handled++;
}

/* How many of this process' threads the system would let handle a signal. */
static int count_takers(int number)
{
    DIR *threads = opendir("/proc/self/task");
    int takers = 0;
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        char path[300], line[200];
        unsigned long long blocked = ~0ULL;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", thread->d_name);
        FILE *status = thread->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (status != NULL && fgets(line, sizeof line, status) != NULL)
            sscanf(line, "SigBlk: %llx", &blocked);
        if (status != NULL)
            fclose(status);
        takers += (blocked >> (number - 1) & 1) == 0;
    }
    closedir(threads);
    return takers;
}

static void signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 4; i++)
        begin_slow(NULL, i);
    sigset_t block, pending, now;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && !sigismember(&now, SIGUSR1));
    CHECK(count_takers(SIGUSR1) == 1 && count_takers(SIGTERM) == 1 && count_takers(SIGSEGV) == 5);
    CHECK(pthread_sigmask(SIG_BLOCK, &block, NULL) == 0);
    /* Nobody takes it: it is pending, and stays so. */
    for (int i = 0; i < 1000; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && handled == 0);
    }
    CHECK(pthread_sigmask(SIG_UNBLOCK, &block, NULL) == 0);
    CHECK(handled == 1);
}

int main(int count, char **arguments)
{
    const char *scenario = count > 1 ? arguments[1] : "";
    if (strcmp(scenario, "given_up") == 0)
        given_up();
    else if (strcmp(scenario, "queue") == 0)
        queue();
    else if (strcmp(scenario, "ended_loop") == 0)
        ended_loop();
    else if (strcmp(scenario, "signals") == 0)
        signals();
    else
        return 2;
    return 0;
}
