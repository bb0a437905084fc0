/*
 * dist.h: a distribution of sizes or times, as it is written on the command line.
 *
 *   100                     always that
 *   50-500                  every whole number between, equally often
 *   exp:200                 exponential with that mean (cut at 16 times the mean)
 *   mix:100=90,4096=10      those values, with those weights
 *
 * The numbers are read by units_size or units_duration, so `exp:2ms` and `1k-4k` work where they
 * make sense.
 */
#ifndef HALFMQ_BENCH_DIST_H
#define HALFMQ_BENCH_DIST_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/base/chance.h"

#define DIST_MIX_MAX 16

enum dist_kind { DIST_FIXED, DIST_RANGE, DIST_EXPONENTIAL, DIST_MIX };

struct dist {
    enum dist_kind kind;
    uint64_t low, high; /* FIXED: low; RANGE: both; EXPONENTIAL: low is the mean */
    unsigned n_mix;
    uint64_t value[DIST_MIX_MAX];
    double upto[DIST_MIX_MAX]; /* sums of the shares so far; the last is 1 */
};

/* Reads one number; false: the text is not one. */
typedef bool (*dist_number)(const char *text, uint64_t *ret_v);

bool dist_parse(const char *text, dist_number number, struct dist *ret_dist);

uint64_t dist_draw(const struct dist *d, struct chance *c);

/* The largest value that may be drawn, and the mean. */
uint64_t dist_max(const struct dist *d);
double dist_mean(const struct dist *d);

#endif
