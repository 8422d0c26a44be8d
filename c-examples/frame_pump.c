/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A game loop with a server in it: sixty frames a second, and in each of them the network gets a
 * look with ss_loop_poll(loop, 0, ...), which never waits.
 *
 *     build/frame_pump [port; 0 = any, default 7002] [frames to run; 0 = without end, the default]
 *
 * With a number of frames it prints what each frame accepted, and a summary, and ends.
 * What the players send is echoed: put your game there.
 */
#define _POSIX_C_SOURCE 200112L /* for clock_gettime and nanosleep */
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000000000) /* in nanoseconds, like all times here */
#define FRAME (SECOND / 60)
#define NETWORK_BUDGET (FRAME / 2) /* of each frame; the other half is for the game */

typedef struct statistics {
    unsigned this_frame, busiest_frame, total; /* connections accepted */
} statistics;

static int fail(const char *what)
{
    fprintf(stderr, "frame_pump: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

/* A clock that nobody sets: the time of day may jump, this one does not. */
static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void sleep_until(int64_t when)
{
    int64_t rest = when - now();
    struct timespec time;

    if (rest <= 0)
        return;
    time.tv_sec = (time_t)(rest / SECOND);
    time.tv_nsec = (long)(rest % SECOND);
    nanosleep(&time, NULL); /* woken early by a signal: then this frame is a little shorter */
}

static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    size_t length = 0;
    const uint8_t *bytes = ss_socket_take(socket, &length);

    (void)user_data;
    if (ss_socket_write_bytes(socket, bytes, length) == SS_OK)
        return;
    /* Also when it is SS_ERR_FULL: who is so far behind is out of the game. */
    fail("a player is dropped");
    ss_socket_abort(socket);
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event); /* borrowed: not kept, it closes on return */
    statistics *accepted = user_data;

    accepted->this_frame++;
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
        ss_socket_keep(socket) != SS_OK) /* until its connection ends */
        fail("connect");
}

/* All listeners run in here. One poll is one turn: it takes a bounded share of what is waiting, so
 * that no single connection can hold it up. Poll again while that brings events, until the budget
 * is used up; what is left then waits for the next frame, and nothing is lost. */
static ss_status run_network(ss_loop *loop, int64_t until)
{
    uint32_t events = 0;
    ss_status status;

    do
        status = ss_loop_poll(loop, 0, &events);
    while (status == SS_OK && events > 0 && now() < until);
    return status;
}

static void run_game(void)
{
    /* Move the monsters, draw the scene. */
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 7002;
    long frames = argc > 2 ? atol(argv[2]) : 0;
    statistics accepted = {0, 0, 0};
    ss_loop *loop = ss_loop_new();
    ss_server *server = ss_new(loop);
    int64_t frame_start;
    long frame;

    if (loop == NULL || server == NULL ||
        ss_add_listener(server, SS_EVENT_CONNECT, on_connect, &accepted, false, 0) != SS_OK ||
        ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return fail("cannot start");
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);

    frame_start = now();
    for (frame = 1; frames == 0 || frame <= frames; frame++) {
        accepted.this_frame = 0;
        if (run_network(loop, frame_start + NETWORK_BUDGET) != SS_OK)
            return fail("cannot go on");
        run_game();

        accepted.total += accepted.this_frame;
        if (accepted.this_frame > accepted.busiest_frame)
            accepted.busiest_frame = accepted.this_frame;
        if (frames != 0 && accepted.this_frame > 0)
            printf("frame %ld: accepted %u\n", frame, accepted.this_frame);

        frame_start += FRAME;
        if (frame_start < now() - SECOND) /* far behind, say after a suspend: do not race to catch up */
            frame_start = now();
        sleep_until(frame_start);
    }
    printf("%ld frames: accepted %u, at most %u in one frame\n", frames, accepted.total,
           accepted.busiest_frame);

    /* Ends the loop and all that lives on it: the server, and the connections still open. */
    if (ss_release(loop) != SS_OK)
        return fail("cannot end");
    return EXIT_SUCCESS;
}
