/*
 * hist.c: counts durations in the slots of a histogram, adds histograms up, and reads quantiles from them. The
 * layout is in hist.h.
 */
#include "bench/measure/hist.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF (UINT32_C(1) << HIST_HALF_BITS)

static void clear_ranges(struct hist *h)
{
    h->total = h->over = 0;
    h->lowest = HIST_SLOTS;
    h->highest = 0;
    h->min = INT64_MAX;
    h->max = 0;
    h->sum = h->sum_of_squares = 0;
}

bool hist_init(struct hist *h)
{
    h->counts = calloc(HIST_SLOTS, sizeof *h->counts);
    clear_ranges(h);
    return h->counts != NULL;
}

void hist_fini(struct hist *h)
{
    free(h->counts);
    h->counts = NULL;
}

void hist_reset(struct hist *h)
{
    if (h->total > 0)
        memset(h->counts + h->lowest, 0, (h->highest - h->lowest + 1) * sizeof *h->counts);
    clear_ranges(h);
}

uint32_t hist_slot(int64_t v)
{
    uint32_t bits = 64u - (uint32_t)__builtin_clzll((uint64_t)v | 1);
    uint32_t bucket = bits > HIST_HALF_BITS + 1 ? bits - HIST_HALF_BITS - 1 : 0;
    return bucket * HALF + (uint32_t)(v >> bucket);
}

/* Slots 0..2047 are bucket 0; from there on each bucket uses the upper half of its indexes. */
static uint32_t hist_bucket(uint32_t slot)
{
    return slot < 2 * HALF ? 0 : slot / HALF - 1;
}

int64_t hist_slot_lowest(uint32_t slot)
{
    uint32_t bucket = hist_bucket(slot);
    return (int64_t)(slot - bucket * HALF) << bucket;
}

int64_t hist_slot_highest(uint32_t slot)
{
    return hist_slot_lowest(slot) + (INT64_C(1) << hist_bucket(slot)) - 1;
}

void hist_record(struct hist *h, int64_t v, uint64_t n)
{
    if (n == 0)
        return;
    if (v < 0)
        v = 0;
    if (v > HIST_VALUE_MAX) {
        h->over += n;
        v = HIST_VALUE_MAX;
    }
    uint32_t slot = hist_slot(v);
    assert(slot < HIST_SLOTS);
    h->counts[slot] += n;
    h->total += n;
    h->lowest = slot < h->lowest ? slot : h->lowest;
    h->highest = slot > h->highest ? slot : h->highest;
    h->min = v < h->min ? v : h->min;
    h->max = v > h->max ? v : h->max;
    h->sum += (double)v * (double)n;
    h->sum_of_squares += (double)v * (double)v * (double)n;
}

void hist_add(struct hist *into, const struct hist *from)
{
    if (from->total == 0)
        return;
    for (uint32_t i = from->lowest; i <= from->highest; i++)
        into->counts[i] += from->counts[i];
    into->total += from->total;
    into->over += from->over;
    into->lowest = from->lowest < into->lowest ? from->lowest : into->lowest;
    into->highest = from->highest > into->highest ? from->highest : into->highest;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->sum += from->sum;
    into->sum_of_squares += from->sum_of_squares;
}

int64_t hist_quantile(const struct hist *h, double q)
{
    if (h->total == 0)
        return 0;
    /* The epsilon keeps 0.99 of 100 at the 99th value, whatever binary fractions make of it. */
    double exact = ceil(q * (double)h->total - 1e-9);
    uint64_t wanted = exact < 1 ? 1 : (uint64_t)exact, so_far = 0;
    for (uint32_t i = h->lowest; i <= h->highest; i++) {
        so_far += h->counts[i];
        if (so_far >= wanted) {
            int64_t v = hist_slot_highest(i);
            return v > h->max ? h->max : v;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->total ? h->sum / (double)h->total : 0;
}

double hist_deviation(const struct hist *h)
{
    double mean = hist_mean(h);
    double variance = h->total ? h->sum_of_squares / (double)h->total - mean * mean : 0;
    return variance > 0 ? sqrt(variance) : 0;
}

uint64_t hist_above(const struct hist *h, int64_t v)
{
    uint64_t n = 0;
    if (h->total == 0 || v > HIST_VALUE_MAX)
        return 0;
    for (uint32_t i = h->highest; i > hist_slot(v) && i >= h->lowest; i--)
        n += h->counts[i];
    return n;
}
