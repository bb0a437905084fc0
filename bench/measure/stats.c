/* stats.c: medians, and their confidence intervals by the bootstrap. */
#include "bench/measure/stats.h"

#include <stdlib.h>
#include <string.h>

#include "bench/base/chance.h"

#define RESAMPLES 2000
#define OUTSIDE 0.025 /* on either side */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double stats_mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : 0;
}

/* The median of n values drawn with replacement; scratch has room for n. */
static double median_again(const double *values, size_t n, double *scratch, struct chance *c)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = values[chance_below(c, n)];
    return stats_median(scratch, n);
}

static double median_of(const double *values, size_t n, double *scratch)
{
    memcpy(scratch, values, n * sizeof *values);
    return stats_median(scratch, n);
}

static struct interval middle_of(double middle, double *again, size_t n)
{
    qsort(again, n, sizeof *again, ascending);
    size_t cut = (size_t)(OUTSIDE * (double)n);
    return (struct interval){middle, again[cut], again[n - 1 - cut]};
}

bool stats_interval(const double *values, size_t n, uint64_t seed, struct interval *ret_interval)
{
    struct chance c = chance_from(seed, 0);
    double *scratch = calloc(n + RESAMPLES, sizeof *scratch);
    if (!scratch || n == 0) {
        free(scratch);
        return false;
    }
    double *again = scratch + n, middle = median_of(values, n, scratch);
    for (size_t i = 0; i < RESAMPLES; i++)
        again[i] = median_again(values, n, scratch, &c);
    *ret_interval = middle_of(middle, again, RESAMPLES);
    free(scratch);
    return true;
}

bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
                 struct interval *ret_ratio)
{
    struct chance c = chance_from(seed, 0);
    size_t more = n_a > n_b ? n_a : n_b, kept = 0;
    double *scratch = calloc(more + RESAMPLES, sizeof *scratch);
    if (!scratch || n_a == 0 || n_b == 0) {
        free(scratch);
        return false;
    }
    double *again = scratch + more, base = median_of(a, n_a, scratch);
    double middle = median_of(b, n_b, scratch) / base;
    for (size_t i = 0; i < RESAMPLES; i++) {
        double below = median_again(a, n_a, scratch, &c);
        double above = median_again(b, n_b, scratch, &c);
        if (below > 0)
            again[kept++] = above / below;
    }
    bool ok = base > 0 && kept > 0;
    if (ok)
        *ret_ratio = middle_of(middle, again, kept);
    free(scratch);
    return ok;
}
