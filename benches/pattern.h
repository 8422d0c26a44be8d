/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bytes that travel. Load and servers know them, so that every byte that arrives can be checked. */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* A prime, so that no message size divides it: a piece that is lost, doubled or late does not fit its place. */
#define PATTERN_PERIOD 65521
/* From any offset below the period so many bytes lie in one piece. */
#define PATTERN_PIECE (256 * 1024)

static uint8_t pattern[PATTERN_PERIOD + PATTERN_PIECE];

static inline void pattern_fill(void)
{
    uint64_t state = 0x9E3779B97F4A7C15u;

    for (size_t i = 0; i < sizeof pattern; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[i] = i < PATTERN_PERIOD ? (uint8_t)(state >> 32) : pattern[i - PATTERN_PERIOD];
    }
}

/* What stands at a place of an endless stream. */
static inline const uint8_t *pattern_at(uint64_t offset)
{
    return pattern + offset % PATTERN_PERIOD;
}

#endif
