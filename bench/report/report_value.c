/*
 * report_value.c: finds the values that --assert may name.
 *
 *   messages_per_s ...        a rate or a count out of values[], or any name of tally.def
 *   p99, max, mean            of the mode's own latency
 *   half_commit.p99 ...       of one of latency.def
 */
#include "bench/report/report.h"

#include <stdio.h>
#include <string.h>

static double lost(const struct result *r)
{
    return (double)r->lost;
}
static double doubled(const struct result *r)
{
    return (double)r->doubled;
}
static double reordered(const struct result *r)
{
    return (double)r->reordered;
}
static double damaged(const struct result *r)
{
    return (double)r->damaged;
}

static const struct {
    const char *name;
    double (*of)(const struct result *r);
} values[] = {{"messages_per_s", result_messages_per_s},
              {"bytes_per_s", result_bytes_per_s},
              {"transactions_per_s", result_transactions_per_s},
              {"lost", lost},
              {"doubled", doubled},
              {"reordered", reordered},
              {"damaged", damaged}};

static bool tally_value(const struct meter_tally *t, const char *name, double *ret_v)
{
#define TALLY(member)                 \
    if (strcmp(name, #member) == 0) { \
        *ret_v = (double)t->member;   \
        return true;                  \
    }
#include "bench/measure/tally.def"
#undef TALLY
    return false;
}

static bool hist_value(const struct hist *h, const char *name, double *ret_v)
{
    if (strcmp(name, "max") == 0 || strcmp(name, "mean") == 0) {
        *ret_v = name[1] == 'a' ? (double)h->max : hist_mean(h);
        return true;
    }
    for (size_t i = 0; i < result_n_percentiles; i++) {
        if (strcmp(name, result_percentiles[i].name) != 0)
            continue;
        *ret_v = (double)hist_quantile(h, result_percentiles[i].share);
        return true;
    }
    return false;
}

static const struct hist *hist_named(const struct result *r, const char *name, size_t len)
{
    for (int i = 0; i < LAT_COUNT; i++) {
        if (strlen(latency_names[i]) == len && strncmp(latency_names[i], name, len) == 0)
            return &r->sum.hist[i];
    }
    return NULL;
}

bool report_value(const struct result *r, const char *name, double *ret_v, bool *ret_is_duration)
{
    const char *dot = strchr(name, '.');
    const struct hist *h =
        dot ? hist_named(r, name, (size_t)(dot - name)) : &r->sum.hist[r->sum.main];
    *ret_is_duration = false;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (strcmp(values[i].name, name) == 0) {
            *ret_v = values[i].of(r);
            return true;
        }
    }
    if (tally_value(&r->sum.total, name, ret_v))
        return true;
    *ret_is_duration = h && hist_value(h, dot ? dot + 1 : name, ret_v);
    return *ret_is_duration;
}
