/*
 * result.h: the result of one run, from which every report is made.
 */
#ifndef HALFMQ_BENCH_RESULT_H
#define HALFMQ_BENCH_RESULT_H

#include "bench/measure/facts.h"
#include "bench/measure/meter.h"
#include "bench/measure/series.h"
#include "bench/measure/troubles.h"
#include "bench/options/options.h"

struct result {
    struct options o;
    enum mode load;
    const char *dialect;
    struct meter sum;
    double elapsed_s;
    struct second *rows; /* owned */
    size_t n_rows;
    uint64_t lost, doubled, reordered, damaged;
    unsigned n_troubles;
    struct trouble troubles[TROUBLES_MAX];
    char fatal[TROUBLE_BYTES]; /* why the run was given up; empty: it was not */
    bool interrupted;
    double cpu_share; /* processors that the tester itself used, from its first connection to its last reply */
    struct facts facts;
};

void result_fini(struct result *r); /* a zeroed one is fine */

/* Rates while the load ran. Transactions that a check-back decided are left out, since that may have been long after
 * the load. */
double result_messages_per_s(const struct result *r);
double result_bytes_per_s(const struct result *r);
double result_transactions_per_s(const struct result *r);

/* True if nothing was lost, doubled, reordered or damaged, there was no error, and the run was not given up. */
bool result_good(const struct result *r);

/* The percentiles that results name, in order: "p50" 0.5 ... "p99999". */
struct result_percentile {
    const char *name;
    double share;
};
extern const struct result_percentile result_percentiles[];
extern const size_t result_n_percentiles;

#endif
