/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A well-behaved daemon: it tells whoever is connected the time since its start, a line a second.
 *
 *     build/daemon [port; 0 = any, default 7000] [milliseconds between lines, default 1000]
 *
 * It shows what a service owes to its surroundings. SIGTERM and SIGINT end it well: it accepts nobody any more, says goodbye, and
 * waits until everybody has got it, five seconds for those who do not read; a second signal ends it at once. SIGHUP has it print its figures. What
 * the library has to report goes to stderr, with a level that systemd understands.
 */
#define _POSIX_C_SOURCE 200809L /* for sigaction */
#include <server_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 5000

static ss_loop *loop;
static ss_server *server;
static volatile sig_atomic_t ending, reporting;
static unsigned long lines;

/* Who is connected: a list, whose entries are the sockets' user data. */
struct peer {
    ss_socket *socket;
    struct peer *next, **link;
};
static struct peer *peers;

/* Of all functions only ss_loop_stop and ss_loop_wake may be called here, and with the handle. */
static void on_signal(int number)
{
    if (number == SIGHUP)
        reporting = 1;
    else
        ending++;
    ss_loop_stop(loop);
}

static void on_log(int32_t level, const char *message, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "<%d>%s\n", level == SS_LOG_ERROR ? 3 : 4, message);
}

/* The end of a socket, whoever brings it about. */
static void forget(void *user_data)
{
    struct peer *peer = user_data;

    *peer->link = peer->next;
    if (peer->next != NULL)
        peer->next->link = peer->link;
    free(peer);
}

/* What peers say is of no interest; it is read so that their end is noticed. */
static void on_data(ss_event *event, void *user_data)
{
    size_t length;

    (void)user_data;
    ss_socket_take(ss_event_target(event), &length);
}

static void on_close(ss_event *event, void *user_data)
{
    (void)user_data;
    if (ss_event_os_error(event) != 0)
        on_log(SS_LOG_WARNING, ss_event_detail(event), NULL);
    ss_release(ss_event_target(event));
}

/* Whom nobody retains is turned away when this returns. */
static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    struct peer *peer = malloc(sizeof *peer);

    (void)user_data;
    if (peer == NULL)
        return;
    if (ss_set_user_data(socket, peer, forget) != SS_OK) {
        free(peer);
        return;
    }
    peer->socket = socket;
    peer->next = peers;
    peer->link = &peers;
    if (peers != NULL)
        peers->link = &peer->next;
    peers = peer;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) == SS_OK &&
        ss_add_listener(socket, SS_EVENT_CLOSE, on_close, NULL, false, 0) == SS_OK)
        ss_retain(socket);
}

/* The same bytes to everybody. Who does not read until its write limit is reached is let go. */
static void tell_all(const char *text, size_t length)
{
    struct peer *peer, *next;

    for (peer = peers; peer != NULL; peer = next) {
        next = peer->next; /* forget() comes, after the listener or task that is running */
        if (ss_socket_write_bytes(peer->socket, text, length) != SS_OK) {
            ss_socket_abort(peer->socket);
            ss_release(peer->socket);
        }
    }
}

static void on_tick(void *user_data)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%lu\n", ++lines);

    (void)user_data;
    tell_all(line, (size_t)length);
}

static void report(void)
{
    ss_stats stats = {0};

    stats.size = sizeof stats;
    if (ss_server_stats(server, &stats) == SS_OK)
        printf("%llu accepted, %llu connected, %lu lines\n", (unsigned long long)stats.accepted,
               (unsigned long long)stats.open, lines);
    fflush(stdout);
}

static bool is_sending(void)
{
    ss_stats stats = {0};

    stats.size = sizeof stats;
    return ss_server_stats(server, &stats) == SS_OK && stats.lingering > 0;
}

/* Everybody gets what was written to the end, in the background: the loop runs until all of it is sent, or given up. A signal that
 * comes while the loop does not run ends its next run at once, so one run may not be enough. */
static void end_well(void)
{
    const sig_atomic_t signals = ending;

    ss_close(server);
    tell_all("bye\n", 4);
    while (peers != NULL) {
        ss_socket *socket = peers->socket;
        ss_socket_close(socket);
        ss_release(socket); /* forget() takes it off the list */
    }
    while (ending == signals && is_sending())
        ss_loop_run(loop);
}

static int failed(const char *what)
{
    fprintf(stderr, "<3>%s: %s\n", what, ss_last_error_detail());
    return 1;
}

int main(int argc, char **argv)
{
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    uint32_t period = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
    struct sigaction action = {0};
    ss_timer *tick;
    size_t i;

    ss_set_log(on_log, NULL);
    loop = ss_loop_default();
    server = ss_new(loop);
    if (server == NULL || ss_set_option(server, SS_OPT_LINGER, PATIENCE_MS) != SS_OK ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, argc > 1 ? atoi(argv[1]) : 7000, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return failed("listen");
    tick = ss_timer_new(loop, period, period, on_tick, NULL, NULL);
    if (tick == NULL)
        return failed("timer");
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    printf("listening on 127.0.0.1:%d\n", (int)ss_local_port(server));
    fflush(stdout);

    while (!ending) {
        if (ss_loop_run(loop) != SS_OK)
            return failed("run");
        if (reporting) {
            reporting = 0;
            report();
        }
    }
    ss_release(tick);
    report();
    end_well();
    ss_release(server);
    return 0;
}
