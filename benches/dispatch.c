/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What one listener call costs through ss_dispatch_event, the network left out.
 *
 *     dispatch [milliseconds for each figure]
 *
 * Prints {"1": ns, "4": ns, "32": ns}: nanoseconds per listener call where an event has so many listeners, the time of a
 * whole dispatch divided by their number; the least of several batches, since all that disturbs makes it longer.
 */
#define _POSIX_C_SOURCE 200809L
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 1000

static unsigned long calls;

static void listener(ss_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    calls++;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double per_call(int listeners, double milliseconds)
{
    static char words[32]; /* the same function with another word is another listener */
    ss_server *target = ss_new(NULL);
    ss_event *event = ss_event_new("tick", false, false);
    double best = 1e18, end = now() + milliseconds * 1e6;

    for (int i = 0; i < listeners; i++)
        ss_add_listener(target, "tick", listener, &words[i], false, 0);
    while (now() < end) {
        double start = now(), time;
        unsigned long before = calls;
        for (int i = 0; i < BATCH; i++)
            if (ss_dispatch_event(target, event, NULL) != SS_OK)
                exit(1);
        time = (now() - start) / (double)(calls - before);
        if (calls - before != (unsigned long)(BATCH * listeners))
            exit(1);
        best = time < best ? time : best;
    }
    ss_release(event);
    ss_release(target);
    return best;
}

int main(int argc, char **argv)
{
    double milliseconds = argc > 1 ? atof(argv[1]) : 300;

    printf("{\"1\": %.2f, ", per_call(1, milliseconds));
    printf("\"4\": %.2f, ", per_call(4, milliseconds));
    printf("\"32\": %.2f}\n", per_call(32, milliseconds));
    return 0;
}
