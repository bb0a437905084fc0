/*
 * report_json.c: writes the whole result as one JSON object.
 *
 * Durations are microseconds where a name ends in _us, else seconds. A histogram is an object with
 * count, min, mean, the percentiles and max.
 */
#include "bench/report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/measure/hist_text.h"
#include "halfmq_version.h"

#define CURVE_STEPS 4 /* steps of the curve for each halving of the share above it */

static double json_us(double ns)
{
    return round(ns / 100) / 10;
}

/* cJSON does not remember that a call failed, and a result must not lack a member silently: each call is checked. */
static bool json_number(cJSON *o, const char *name, double v)
{
    return cJSON_AddNumberToObject(o, name, v) != NULL;
}

static bool json_rounded(cJSON *o, const char *name, double v)
{
    return json_number(o, name, fabs(v) < 100 ? round(v * 1000) / 1000 : round(v * 10) / 10);
}

static bool json_text(cJSON *o, const char *name, const char *v)
{
    return cJSON_AddStringToObject(o, name, v) != NULL;
}

static bool json_put_hist(cJSON *parent, const char *name, const struct hist *h)
{
    cJSON *o = cJSON_AddObjectToObject(parent, name);
    bool ok = o && json_number(o, "count", (double)h->total) &&
              json_number(o, "min", h->total ? json_us((double)h->min) : 0) &&
              json_number(o, "mean", json_us(hist_mean(h)));
    for (size_t i = 0; ok && i < result_n_percentiles; i++)
        ok = json_number(o, result_percentiles[i].name,
                         json_us((double)hist_quantile(h, result_percentiles[i].share)));
    return ok && json_number(o, "max", json_us((double)h->max));
}

static bool json_put_hists(cJSON *root, const struct result *r)
{
    char name[40];
    bool ok = json_put_hist(root, "latency_us", &r->sum.hist[r->sum.main]);
    for (int i = 0; ok && i < LAT_COUNT; i++) {
        snprintf(name, sizeof name, "%s_us", latency_names[i]);
        if (r->sum.hist[i].total > 0)
            ok = json_put_hist(root, name, &r->sum.hist[i]);
    }
    return ok;
}

static bool json_put_counts(cJSON *root, const struct meter_tally *t)
{
    cJSON *o = cJSON_AddObjectToObject(root, "counts");
    bool ok = o != NULL;
#define TALLY(name) ok = ok && json_number(o, #name, (double)t->name);
#include "bench/measure/tally.def"
#undef TALLY
    return ok;
}

static bool json_put_settings(cJSON *root, const struct options *o)
{
    char flag[40];
    cJSON *s = cJSON_AddObjectToObject(root, "settings");
    bool ok = s != NULL;
    for (size_t i = 0; ok && i < BENCH_COUNT; i++) {
        const void *at = (const char *)o + option_lines[i].offset;
        if (option_lines[i].group == GROUP_REPORT)
            continue;
        snprintf(flag, sizeof flag, "%s", option_lines[i].name);
        /* Counts may have been computed from other options; the others are printed as they were given. */
        if (option_lines[i].kind == KIND_COUNT)
            ok = json_number(s, flag, (double)*(const uint64_t *)at);
        else if (option_lines[i].kind == KIND_RATE)
            ok = json_number(s, flag, *(const double *)at);
        else
            ok = json_text(s, flag, o->said[i]);
    }
    return ok;
}

static bool json_put_facts(cJSON *root, const struct facts *f)
{
    cJSON *o = cJSON_AddObjectToObject(root, "environment");
    bool ok = o != NULL;
    for (unsigned i = 0; ok && i < f->n; i++)
        ok = json_text(o, f->at[i].name, f->at[i].text);
    return ok;
}

static bool json_put_troubles(cJSON *root, const struct result *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "troubles");
    bool ok = list != NULL;
    for (unsigned i = 0; ok && i < r->n_troubles; i++) {
        cJSON *o = cJSON_CreateObject();
        ok = o && cJSON_AddItemToArray(list, o) && json_text(o, "text", r->troubles[i].text) &&
             json_number(o, "times", (double)r->troubles[i].times);
    }
    return ok;
}

static bool json_put_second(cJSON *list, size_t i, const struct result *r, const struct second *row)
{
    cJSON *o = cJSON_CreateObject();
    uint64_t transactions = row->tally.transactions;
    bool ok =
        o && cJSON_AddItemToArray(list, o) && json_number(o, "second", (double)i + 1) &&
        json_rounded(o, "messages_per_s", (double)row->tally.messages / row->length_s) &&
        json_rounded(o, "bytes_per_s", (double)row->tally.bytes / row->length_s) &&
        (r->load != MODE_txn ||
         json_rounded(o, "transactions_per_s", (double)transactions / row->length_s)) &&
        json_number(o, "p50_us", json_us((double)row->p50)) && json_number(o, "p90_us", json_us((double)row->p90)) &&
        json_number(o, "p99_us", json_us((double)row->p99)) && json_number(o, "p999_us", json_us((double)row->p999)) &&
        json_number(o, "max_us", json_us((double)row->max)) && json_number(o, "errors", (double)row->tally.errors);
    if (r->load == MODE_e2e || r->load == MODE_verify)
        ok = ok && json_rounded(o, "sent_per_s", (double)row->tally.sent / row->length_s) &&
             json_rounded(o, "received_per_s", (double)row->tally.taken / row->length_s);
    if (row->lag >= 0)
        ok = ok && json_rounded(o, "lag", row->lag);
    if (row->server.rss_bytes >= 0)
        ok = ok && json_number(o, "server_rss_bytes", row->server.rss_bytes);
    if (row->server.cpu_share >= 0)
        ok = ok && json_rounded(o, "server_cpu", row->server.cpu_share);
    if (row->server.syncs >= 0)
        ok = ok && json_rounded(o, "server_syncs_per_s", row->server.syncs);
    return ok;
}

static bool json_put_seconds(cJSON *root, const struct result *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "seconds");
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < r->n_rows; i++)
        ok = json_put_second(list, i, r, &r->rows[i]);
    return ok;
}

/* [share, us] pairs: what the page draws. */
static bool json_put_curve(cJSON *root, const struct hist *h)
{
    struct hist_walk walk;
    struct hist_step step;
    cJSON *list = cJSON_AddArrayToObject(root, "curve");
    bool ok = list != NULL;
    hist_walk_begin(&walk, h, CURVE_STEPS);
    while (ok && hist_walk_next(&walk, &step)) {
        double pair[2] = {step.share, json_us((double)step.value)};
        cJSON *o = cJSON_CreateDoubleArray(pair, 2);
        ok = o && cJSON_AddItemToArray(list, o);
    }
    return ok;
}

static bool json_put_head(cJSON *root, const struct result *r)
{
    const struct meter_tally *t = &r->sum.total;
    bool ok = json_text(root, "tool", "halfmq-bench") && json_text(root, "version", HALFMQ_VERSION) &&
              json_text(root, "mode", mode_names[r->o.mode]) &&
              json_text(root, "load", mode_names[r->load]) && json_text(root, "dialect", r->dialect) &&
              json_rounded(root, "elapsed_s", r->elapsed_s) &&
              json_number(root, "messages", (double)t->messages) &&
              json_rounded(root, "messages_per_s", result_messages_per_s(r)) &&
              json_rounded(root, "bytes_per_s", result_bytes_per_s(r)) &&
              json_number(root, "errors", (double)t->errors) && json_number(root, "lost", (double)r->lost) &&
              json_number(root, "doubled", (double)r->doubled) &&
              json_number(root, "reordered", (double)r->reordered) &&
              json_number(root, "damaged", (double)r->damaged);
    if (r->load == MODE_txn)
        ok = ok && json_number(root, "transactions", (double)t->transactions) &&
             json_rounded(root, "transactions_per_s", result_transactions_per_s(r));
    if (r->fatal[0] || r->interrupted)
        ok = ok && json_text(root, "failure", r->fatal[0] ? r->fatal : "interrupted");
    return ok && json_rounded(root, "tester_cpu", r->cpu_share);
}

bool report_json(const struct result *r, struct buf *out)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = root && json_put_head(root, r) && json_put_hists(root, r) && json_put_counts(root, &r->sum.total) &&
              json_put_troubles(root, r) && json_put_settings(root, &r->o) && json_put_facts(root, &r->facts) &&
              json_put_seconds(root, r) && json_put_curve(root, &r->sum.hist[r->sum.main]);
    char *printed = ok ? cJSON_Print(root) : NULL;
    if (printed)
        buf_put_str(out, printed);
    buf_put_str(out, "\n");
    ok = printed && !out->failed;
    cJSON_free(printed);
    cJSON_Delete(root);
    return ok;
}
