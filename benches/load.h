/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a load measures with: clocks, a server's processor time, latencies. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) != 0)
        fail("the server's processor time: %s", strerror(errno));
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* All threads of a process, to the nanosecond. */
static inline uint64_t process_time(int pid)
{
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0)
        fail("there is no process %d", pid);
    return clock_ns(clock);
}

/* Of a server, 0 for none, and of the children that it has now. */
static inline uint64_t server_time(int pid, bool with_children)
{
    uint64_t sum = pid == 0 ? 0 : process_time(pid);
    char path[64];
    FILE *file;

    if (!with_children)
        return sum;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "r");
    if (file == NULL)
        fail("%s: %s", path, strerror(errno));
    for (int child; fscanf(file, "%d", &child) == 1;)
        sum += process_time(child);
    fclose(file);
    return sum;
}

/* Counts by nanoseconds, 64 steps to each power of two: within 1.6 % of the truth. */
#define STEPS 128 /* the lower half is used below the first power only */
static uint64_t histogram[64 * STEPS];

static inline void record(uint64_t ns)
{
    int shift = ns < STEPS ? 0 : 57 - __builtin_clzll(ns);

    histogram[(uint64_t)shift * STEPS + (ns >> shift)]++;
}

static inline double percentile_us(double share)
{
    uint64_t total = 0, seen = 0;

    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++)
        total += histogram[i];
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        seen += histogram[i];
        if (seen > 0 && (double)seen >= share * (double)total)
            return (double)((uint64_t)(i % STEPS) << i / STEPS) / 1000;
    }
    return 0;
}

#endif
