/*
 * stats.h: the little statistics that a comparison of two runs needs.
 *
 * Seconds of a run are no independent draws from a bell curve (flush and compaction make humps), so
 * the confidence interval of a median is found by the bootstrap: draw as many seconds again, with
 * replacement, take the median, two thousand times, and look where 95 % of them lie.
 */
#ifndef HALFMQ_BENCH_STATS_H
#define HALFMQ_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    double middle, low, high;
};

/* Of n >= 1 values; sorts them. */
double stats_median(double *values, size_t n);

double stats_mean(const double *values, size_t n);

/* The median of b over the median of a, and the middle 95 % of what resampling both gives. False:
 * no memory, or a side without values, or a median of a that is 0. */
bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
                 struct interval *ret_ratio);

/* The median with its interval. False: no memory, or no values. */
bool stats_interval(const double *values, size_t n, uint64_t seed, struct interval *ret_interval);

#endif
