/*
 * series.h: the run second by second, put together from what each worker brings.
 *
 *   worker 0 ──┐ second i: tally, histogram
 *   worker 1 ──┼──► pending[i % n] ──(all workers are past it)──► row i: counts and percentiles
 *   main ──────┘ sample of the server
 */
#ifndef HALFMQ_BENCH_SERIES_H
#define HALFMQ_BENCH_SERIES_H

#include <pthread.h>

#include "bench/measure/meter.h"

/* What the server said of itself; -1 where it did not say. */
struct server_sample {
    double rss_bytes;
    double cpu_share; /* of one processor, since the sample before */
    double syncs; /* a second, since the sample before */
};

struct second {
    double length_s; /* 1, but for the last one */
    struct meter_tally tally;
    uint64_t count; /* values behind the percentiles */
    int64_t p50, p90, p99, p999, max;
    /* Messages behind the schedule, or sent and not taken yet; -1 where that means nothing. */
    double lag;
    struct server_sample server;
};

#define SERIES_PENDING 8
#define SERIES_WORKERS_MAX 64

struct series {
    pthread_mutex_t lock;
    unsigned n_workers;
    size_t
        reached[SERIES_WORKERS_MAX]; /* the second that each worker is in; SIZE_MAX: it has left */
    struct second *rows; /* finished ones */
    size_t n_rows, rows_size;
    bool full; /* no memory for another row: the series has ended, the totals go on */
    /* Of row i in place i % SERIES_PENDING, for n_rows <= i < n_rows + SERIES_PENDING. */
    struct series_pending {
        struct hist hist;
        struct second row;
    } pending[SERIES_PENDING];
};

bool series_init(struct series *s, unsigned n_workers); /* false: no memory */
void series_fini(struct series *s);

/* A worker's second, one after the other; empties the meter's. */
void series_bring(struct series *s, unsigned worker, struct meter *m);

/* A worker's last one, which it did not stay to the end of. */
void series_leave(struct series *s, unsigned worker, struct meter *m);

/* What main knows of second i, if that is not finished yet. */
void series_note(struct series *s, size_t i, double lag, const struct server_sample *server);

/* Row i, if it is finished. */
bool series_row(struct series *s, size_t i, struct second *ret_row);

/* All workers have left: finishes what is pending. last_s is when the last thing ended, from the
 * start of row 0; the row it lies in gets its length, and is dropped where that is less than half a
 * second and there are others. */
void series_end(struct series *s, double last_s);

#endif
