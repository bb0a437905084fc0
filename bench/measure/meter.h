/*
 * meter.h: what a worker counts and times, in total since the measurement began and in the current second. There are
 * no locks: each worker has a meter of its own, and they are added up when the workers have ended.
 */
#ifndef HALFMQ_BENCH_METER_H
#define HALFMQ_BENCH_METER_H

#include "bench/measure/hist.h"

enum latency {
#define LATENCY(name, title, what) LAT_##name,
#include "bench/measure/latency.def"
#undef LATENCY
    LAT_COUNT
};

struct meter_tally {
#define TALLY(name) uint64_t name;
#include "bench/measure/tally.def"
#undef TALLY
};

extern const char *const latency_names[]; /* "half_commit" */
extern const char *const latency_titles[]; /* "half to commit" */

struct meter {
    enum latency main; /* the one that seconds, progress and the page show */
    struct hist hist[LAT_COUNT];
    struct hist second_hist; /* of main */
    struct meter_tally total, second;
    int64_t last_ns; /* when the last thing that was measured ended */
};

bool meter_init(struct meter *m, enum latency main); /* false: no memory */
void meter_fini(struct meter *m);

/* n things took from begin to end. */
void meter_time(struct meter *m, enum latency which, int64_t begin_ns, int64_t end_ns, uint64_t n);

#define METER_COUNT(m, name, n) ((m)->total.name += (n), (m)->second.name += (n))

void meter_next_second(struct meter *m);

void tally_add(struct meter_tally *into, const struct meter_tally *from);
void meter_add(struct meter *into, const struct meter *from);

#endif
