/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all the servers here share: the command line, and the line that says where they listen.
 *
 *     NAME echo|sink|source|discard [port; 0 = any]
 *
 * echo sends back what comes. sink reads and drops it. source sends the pattern without end, as fast as the
 * peer takes it, and drops what comes. discard accepts a connection and closes it.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "../pattern.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum mode { MODE_ECHO, MODE_SINK, MODE_SOURCE, MODE_DISCARD };

/* How much a server reads at once, the same for all that can be told: one buffer for all connections. */
#define READ_SIZE (256 * 1024)
/* How much a source writes at once. */
#define CHUNK PATTERN_PERIOD
/* How many chunks a source sends to one peer before the others get their turn. */
#define BURST 16
/* What a listen() asks for; the system has its own maximum. */
#define BACKLOG 4096

static inline enum mode peer_begin(int argc, char **argv, int *port)
{
    static const char *const names[] = {"echo", "sink", "source", "discard"};
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    pattern_fill();
    *port = argc > 2 ? atoi(argv[2]) : 0;
    for (int i = 0; argc > 1 && i < 4; i++)
        if (strcmp(argv[1], names[i]) == 0)
            return (enum mode)i;
    fprintf(stderr, "usage: %s echo|sink|source|discard [port]\n", argv[0]);
    exit(2);
}

static inline void peer_listens(int port)
{
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
}

static inline void peer_failed(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* The file that a variable of the environment names; never freed. */
static inline char *peer_file(const char *variable, size_t *length)
{
    const char *path = getenv(variable);
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    char *bytes = (char *)malloc(64 * 1024);

    if (file == NULL || bytes == NULL)
        peer_failed(variable, "names no file");
    *length = fread(bytes, 1, 64 * 1024, file);
    fclose(file);
    return bytes;
}

#endif
