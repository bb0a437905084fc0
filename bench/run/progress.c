/* progress.c: prints the line that shows how the last second went. */
#include "bench/run/progress.h"

#include <stdio.h>

#include "bench/base/units.h"

void progress_line(const struct options *o, enum mode load, size_t i, const struct second *row)
{
    char rate[16], p50[16], p99[16], max[16], lag[24] = "", server[64] = "", text[16];
    if (o->quiet)
        return;
    uint64_t n = load == MODE_txn ? row->tally.transactions : row->tally.messages;
    if (row->lag >= 0)
        snprintf(lag, sizeof lag, "  lag %s", units_put_count(row->lag, text, sizeof text));
    if (row->server.rss_bytes >= 0 && row->server.cpu_share >= 0)
        snprintf(server, sizeof server, "  server %.0f MB %.0f%%", row->server.rss_bytes / 1e6,
                 row->server.cpu_share * 100);
    fprintf(stderr, "%4zus  %s/s  p50 %s  p99 %s  max %s  errors %llu%s%s\n", i + 1,
            units_put_count((double)n, rate, sizeof rate),
            units_put_duration((double)row->p50, p50, sizeof p50),
            units_put_duration((double)row->p99, p99, sizeof p99),
            units_put_duration((double)row->max, max, sizeof max),
            (unsigned long long)row->tally.errors, lag, server);
}
