/* hist_text.c: walks the percentile curve of a histogram, and prints it as text. */
#include "bench/measure/hist_text.h"

#include <math.h>

#define STEPS_PER_HALF 5 /* what HdrHistogram's own tools print */

void hist_walk_begin(struct hist_walk *w, const struct hist *h, unsigned steps_per_half)
{
    *w = (struct hist_walk){.hist = h, .steps_per_half = steps_per_half, .slot = h->lowest};
    w->done = h->total == 0;
    if (!w->done)
        w->count = h->counts[h->lowest];
}

/* The share of the next step: a fixed part of half of what is left above this one. */
static double step_after(double share, unsigned steps_per_half)
{
    double halvings = floor(-log2(1 - share)) + 1;
    return share + 1.0 / (steps_per_half * exp2(halvings));
}

bool hist_walk_next(struct hist_walk *w, struct hist_step *ret_step)
{
    const struct hist *h = w->hist;
    if (w->done)
        return false;
    while (w->slot < h->highest && (double)w->count < w->next * (double)h->total)
        w->count += h->counts[++w->slot];
    double share = (double)w->count / (double)h->total;
    int64_t value = hist_slot_highest(w->slot);
    if (w->slot >= h->highest) {
        w->done = true;
        *ret_step = (struct hist_step){1, h->max, h->total};
        return true;
    }
    *ret_step = (struct hist_step){w->next, value, w->count};
    /* Steps that would fall into the same slot are left out: they would repeat its line. */
    do
        w->next = step_after(w->next, w->steps_per_half);
    while (w->next <= share && w->next < 1);
    return true;
}

static void put_step(struct buf *out, const struct hist_step *s)
{
    buf_printf(out, "%12.3f %.12f %12llu", (double)s->value / 1e6, s->share,
               (unsigned long long)s->count);
    if (s->share < 1)
        buf_printf(out, " %14.2f", 1 / (1 - s->share));
    buf_put_str(out, "\n");
}

void hist_text_put(struct buf *out, const struct hist *h)
{
    struct hist_walk walk;
    struct hist_step step;
    buf_put_str(out, "       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    hist_walk_begin(&walk, h, STEPS_PER_HALF);
    while (hist_walk_next(&walk, &step))
        put_step(out, &step);
    buf_printf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", hist_mean(h) / 1e6,
               hist_deviation(h) / 1e6);
    buf_printf(out, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max / 1e6,
               (unsigned long long)h->total);
    buf_printf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", HIST_BUCKETS,
               2u << HIST_HALF_BITS);
}
