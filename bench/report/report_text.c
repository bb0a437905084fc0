/* report_text.c: prints a result as a table for people. */
#include "bench/report/report.h"

#include <stdio.h>

#include "bench/base/units.h"

static void put_rate(const struct result *r)
{
    char rate[16], bytes[16], total[16], shown[16];
    printf("%s messages in %s: %s/s, %sB/s\n",
           units_put_count((double)r->sum.total.messages, total, sizeof total),
           units_put_duration(r->elapsed_s * 1e9, shown, sizeof shown),
           units_put_count(result_messages_per_s(r), rate, sizeof rate),
           units_put_count(result_bytes_per_s(r), bytes, sizeof bytes));
    if (r->load == MODE_txn)
        printf("%llu transactions: %s/s (%llu rolled back, %llu decided by check-back)\n",
               (unsigned long long)r->sum.total.transactions,
               units_put_count(result_transactions_per_s(r), rate, sizeof rate),
               (unsigned long long)r->sum.total.rolled_back,
               (unsigned long long)r->sum.total.checked);
}

static void put_latencies(const struct result *r)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};
    char text[16];
    printf("\n%-16s%9s%9s%9s%9s%9s%9s%9s%11s\n", "latency", "p50", "p90", "p99", "p99.9", "p99.99",
           "p99.999", "max", "of");
    for (int i = 0; i < LAT_COUNT; i++) {
        const struct hist *h = &r->sum.hist[i];
        if (h->total == 0)
            continue;
        printf("%-15s%c", latency_titles[i], i == (int)r->sum.main ? '*' : ' ');
        for (size_t k = 0; k < sizeof shares / sizeof *shares; k++)
            printf("%9s",
                   units_put_duration((double)hist_quantile(h, shares[k]), text, sizeof text));
        printf("%9s", units_put_duration((double)h->max, text, sizeof text));
        printf("%11llu\n", (unsigned long long)h->total);
    }
}

static void put_faults(const struct result *r)
{
    const struct meter_tally *t = &r->sum.total;
    bool whole = !r->fatal[0] && !r->interrupted;
    printf("\nerrors %llu", (unsigned long long)t->errors);
    if (whole && (r->load == MODE_verify || r->load == MODE_e2e))
        printf("  lost %llu  doubled %llu  reordered %llu  damaged %llu",
               (unsigned long long)r->lost, (unsigned long long)r->doubled,
               (unsigned long long)r->reordered, (unsigned long long)r->damaged);
    printf("  redelivered %llu  retries %llu  reconnects %llu\n",
           (unsigned long long)t->redelivered, (unsigned long long)t->retries,
           (unsigned long long)t->reconnects);
    for (unsigned i = 0; i < r->n_troubles; i++)
        printf("  %llu x %s\n", (unsigned long long)r->troubles[i].times, r->troubles[i].text);
    if (r->fatal[0])
        printf("given up: %s\n", r->fatal);
    if (r->interrupted)
        printf("interrupted: requests that were in flight then are not counted\n");
}

void report_text(const struct result *r)
{
    const char *fsync = facts_get(&r->facts, "server_fsync");
    const char *server = facts_get(&r->facts, "server");
    printf("%s, %s, %s %s, fsync %s\n", mode_names[r->load], r->dialect, server ? server : "server",
           facts_get(&r->facts, "server_version") ? facts_get(&r->facts, "server_version") : "?",
           fsync ? fsync : "?");
    put_rate(r);
    put_latencies(r);
    put_faults(r);
    if (r->o.rate > 0)
        printf("open loop: latency counts from the moment each request was meant to start\n");
    if (r->elapsed_s > 0.2 && r->cpu_share > 0.8 * (double)r->o.threads)
        printf(
            "the tester used %.0f %% of a processor and may be the bottleneck; see --threads\n",
            100 * r->cpu_share);
    fflush(stdout);
}
