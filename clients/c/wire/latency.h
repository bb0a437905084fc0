/*
 * latency.h: a histogram of times: eight slots for each doubling, so that what it says is at most an eighth too large.
 *
 *   slot    0 1 2 ... 7 | 8  9 ... 15 | 16 17 ... 23 | ...
 *   us      0 1 2 ... 7 | 8  9 ... 15 | 16 18 ... 30 | 32 36 ...        (its lowest)
 *
 * It takes 2.3 KB, whatever is recorded. The caller has a lock.
 */
#ifndef HALFMQ_CLIENTS_C_LATENCY_H
#define HALFMQ_CLIENTS_C_LATENCY_H

#include <stdint.h>

#include "clients/c/halfmq.h"

#define LATENCY_SLOTS 288 /* up to 2^37 us, which is more than a day */

struct latencies {
    uint64_t counts[LATENCY_SLOTS];
    uint64_t n, sum_us, max_us;
};

/* n things took so long; below 0 is 0. */
void latency_add(struct latencies *l, int64_t us, uint64_t n);

/* The longest time that counts in this slot. */
uint64_t latency_highest(size_t slot);

/* Percentiles of 0 where nothing was recorded. */
hmq_latency latency_summary(const struct latencies *l);

#endif
