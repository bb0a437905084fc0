/*
 * hist_text.h: a histogram as the percentile text (.hgrm) that HdrHistogram's tools and plotters
 * read.
 */
#ifndef HALFMQ_BENCH_HIST_TEXT_H
#define HALFMQ_BENCH_HIST_TEXT_H

#include "bench/measure/hist.h"
#include "protocol/base/buf.h"

/* One step of the percentile curve: that share of all values is at or below value. */
struct hist_step {
    double share;
    int64_t value;
    uint64_t count; /* values up to here */
};

/*
 * Walks the curve: steps_per_half (>= 1) steps between 0 and 1/2, as many between 1/2 and 3/4, and so on, so that the
 * tail is drawn as finely as the middle. hist_walk_next returns false when the curve has ended.
 */
struct hist_walk {
    const struct hist *hist;
    unsigned steps_per_half;
    double next; /* the share of the next step */
    uint32_t slot; /* counted up to here */
    uint64_t count;
    bool done;
};

void hist_walk_begin(struct hist_walk *w, const struct hist *h, unsigned steps_per_half);
bool hist_walk_next(struct hist_walk *w, struct hist_step *ret_step);

/* The whole text, values in milliseconds. */
void hist_text_put(struct buf *out, const struct hist *h);

#endif
