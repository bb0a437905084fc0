/*
 * series.h: the run second by second, put together from what each worker hands over.
 *
 *   worker 0 ──┐ second i: tally, histogram
 *   worker 1 ──┼──► pending[i % n] ──(all workers are past it)──► row i: counts and percentiles
 *   main ──────┘ sample of the server
 */
#ifndef HALFMQ_BENCH_SERIES_H
#define HALFMQ_BENCH_SERIES_H

#include <pthread.h>

#include "bench/measure/meter.h"

/* What the server reported about itself; -1: it did not. */
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
    /* Messages behind the schedule, or sent and not yet received; -1: there is no schedule. */
    double lag;
    struct server_sample server;
};

#define SERIES_PENDING 8
#define SERIES_WORKERS_MAX 64

struct series {
    pthread_mutex_t lock;
    unsigned n_workers;
    size_t
        reached[SERIES_WORKERS_MAX]; /* the second that each worker is in; SIZE_MAX: it has ended */
    struct second *rows; /* finished ones */
    size_t n_rows, rows_size;
    bool full; /* there was no memory for another row: the series ends here, the totals go on */
    /* Row i is pending[i % SERIES_PENDING], for n_rows <= i < n_rows + SERIES_PENDING. */
    struct series_pending {
        struct hist hist;
        struct second row;
    } pending[SERIES_PENDING];
};

bool series_init(struct series *s, unsigned n_workers); /* false: no memory */
void series_fini(struct series *s);

/* Adds a worker's next second, and clears the second of its meter. */
void series_bring(struct series *s, unsigned worker, struct meter *m);

/* Adds a worker's last, incomplete second. The worker has ended. */
void series_leave(struct series *s, unsigned worker, struct meter *m);

/* Adds what the main thread knows of second i, if there is such a row. */
void series_note(struct series *s, size_t i, double lag, const struct server_sample *server);

/* Copies row i. False: it is not finished. */
bool series_row(struct series *s, size_t i, struct second *ret_row);

/* Finishes the pending rows after all workers have ended. last_s is when the last thing ended, in seconds from the
 * start of row 0. The row that it lies in gets its real length; if that is less than half a second and there are
 * other rows, it is dropped. */
void series_end(struct series *s, double last_s);

#endif
