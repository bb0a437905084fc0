/*
 * stats.h: the statistics that a comparison of two runs needs.
 *
 * The seconds of a run are not independent draws from a normal distribution (flushes and compaction make humps), so
 * the confidence interval of a median is found by the bootstrap: two thousand times draw as many seconds again, with
 * replacement, and take their median; the interval is where the middle 95 % of these medians lie.
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

/* The median of b over the median of a, and the middle 95 % of the ratios of resampled medians. False: no memory, a
 * side without values, or the median of a is 0. */
bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
                 struct interval *ret_ratio);

/* The median with its interval. False: no memory, or no values. */
bool stats_interval(const double *values, size_t n, uint64_t seed, struct interval *ret_interval);

#endif
