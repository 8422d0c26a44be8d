/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Timers among many, for counting what a call takes: callgrind collects inside of one function.
 *
 *     valgrind --tool=callgrind --toggle-collect=ss_timer_set timers NUMBER
 *
 * NUMBER timers run, each until some hour of its own. Then so many times one of them, in no order, is stopped and started anew.
 */
#include <server_socket.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s\n", what, ss_last_error_detail());
    exit(1);
}

static void task(void *user_data)
{
    (void)user_data;
}

/* Numbers without order, the same in each run. */
static uint32_t next_number(void)
{
    static uint32_t state = 1;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static uint32_t some_hour(void)
{
    return 3600000 + next_number() % 360000000;
}

int main(int argc, char **argv)
{
    uint32_t number = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    ss_loop *loop = ss_loop_new();
    ss_timer **timers = calloc(number > 0 ? number : 1, sizeof *timers);

    check(number > 0 && timers != NULL, "usage: timers NUMBER");
    for (uint32_t i = 0; i < number; i++) {
        timers[i] = ss_timer_new(loop, some_hour(), 0, task, NULL, NULL);
        check(timers[i] != NULL, "a timer");
    }
    for (uint32_t i = 0; i < number; i++) {
        ss_timer *timer = timers[next_number() % number];

        check(ss_timer_stop(timer) == SS_OK, "stop");
        check(ss_timer_set(timer, some_hour(), 0) == SS_OK, "start");
    }
    free(timers);
    return ss_release(loop) == SS_OK ? 0 : 1;
}
