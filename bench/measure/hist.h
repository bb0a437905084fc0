/*
 * hist.h: a histogram of durations with a fixed relative error, in HdrHistogram's layout.
 *
 * Counts stand in buckets; each bucket has 1024 slots (the first one 2048) and spans twice the
 * values of the one before it, so that a slot is never wider than a thousandth of its value: three
 * significant digits.
 *
 *   bucket   values (ns)           a slot spans
 *   0        0 .. 2047             1
 *   1        2048 .. 4095          2
 *   2        4096 .. 8191          4
 *   ...                            ...
 *   31       2^41 .. 2^42-1        2^31           (73 minutes; longer durations count as that)
 *
 *   slot of v:  bucket = bits(v) - 11 (0 where negative),  index = bucket * 1024 + (v >> bucket)
 *
 * Invariant: total is the sum of all counts; lowest <= every slot that holds something <= highest.
 */
#ifndef HALFMQ_BENCH_HIST_H
#define HALFMQ_BENCH_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_HALF_BITS 10u
#define HIST_BUCKETS 32u
#define HIST_SLOTS ((HIST_BUCKETS + 1) << HIST_HALF_BITS)
#define HIST_VALUE_MAX ((INT64_C(1) << (HIST_HALF_BITS + HIST_BUCKETS)) - 1)

struct hist {
    uint64_t *counts; /* HIST_SLOTS of them */
    uint64_t total;
    uint64_t over; /* values that were cut to HIST_VALUE_MAX */
    uint32_t lowest; /* slots in use; lowest > highest: none */
    uint32_t highest;
    int64_t min, max; /* exact */
    double sum, sum_of_squares;
};

/* False: no memory (some 270 KB). */
bool hist_init(struct hist *h);
void hist_fini(struct hist *h);

/* Empties it. Clears only the slots that were in use. */
void hist_reset(struct hist *h);

/* Records n values of v nanoseconds; a negative v counts as 0. */
void hist_record(struct hist *h, int64_t v, uint64_t n);

void hist_add(struct hist *into, const struct hist *from);

/* The quantile q (0..1): the share q of all values is at or below it. As exact as the slots, never above the maximum,
 * and 0 if nothing was recorded. */
int64_t hist_quantile(const struct hist *h, double q);

double hist_mean(const struct hist *h);
double hist_deviation(const struct hist *h);

/* How many values lie above v (at the slots' precision). */
uint64_t hist_above(const struct hist *h, int64_t v);

/* The slot of a value, and the values that a slot stands for. */
uint32_t hist_slot(int64_t v);
int64_t hist_slot_lowest(uint32_t slot);
int64_t hist_slot_highest(uint32_t slot);

#endif
