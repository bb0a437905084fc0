/* result.c: figures that several reports derive from the result of a run, such as messages per second. */
#include "bench/run/result.h"

#include <stdlib.h>
#include <string.h>

const struct result_percentile result_percentiles[] = {
    {"p50", 0.5},  {"p75", 0.75},   {"p90", 0.9},      {"p95", 0.95},
    {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}, {"p99999", 0.99999}};
const size_t result_n_percentiles = sizeof result_percentiles / sizeof *result_percentiles;

void result_fini(struct result *r)
{
    meter_fini(&r->sum);
    free(r->rows);
    memset(r, 0, sizeof *r);
}

static double per_s(const struct result *r, uint64_t n)
{
    return r->elapsed_s > 0 ? (double)n / r->elapsed_s : 0;
}

double result_messages_per_s(const struct result *r)
{
    return per_s(r, r->sum.total.messages - r->sum.total.checked * r->o.batch);
}

double result_bytes_per_s(const struct result *r)
{
    return per_s(r, r->sum.total.bytes);
}

double result_transactions_per_s(const struct result *r)
{
    return per_s(r, r->sum.total.transactions - r->sum.total.checked);
}

bool result_good(const struct result *r)
{
    return !r->fatal[0] && r->sum.total.errors == 0 && r->lost == 0 && r->doubled == 0 &&
           r->reordered == 0 && r->damaged == 0;
}
