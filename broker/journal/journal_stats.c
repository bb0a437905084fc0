/* journal_stats.c: sorts syncs by how long they took, and groups by how many commands they had. */
#include "broker/journal/journal_stats.h"

#include <assert.h>

double journal_sync_bound_s(unsigned i)
{
    static const double bounds[JOURNAL_BUCKETS - 1] = {
        0.00002, 0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.002,
        0.005,   0.01,    0.02,   0.05,    0.1,    0.2,    0.5,    1.0,     5.0};
    assert(i < JOURNAL_BUCKETS - 1);
    return bounds[i];
}

static unsigned journal_stats_bucket(double value, bool sync)
{
    unsigned i = 0;
    while (i < JOURNAL_BUCKETS - 1 && value > (sync ? journal_sync_bound_s(i) : (double)(1u << i)))
        i++;
    return i;
}

void journal_stats_count_sync(struct journal_stats *s, int64_t took_ns)
{
    s->syncs++;
    s->sync_ns_total += (uint64_t)took_ns;
    s->sync_buckets[journal_stats_bucket((double)took_ns / 1e9, true)]++;
}

void journal_stats_count_group(struct journal_stats *s, uint32_t commands, bool written)
{
    s->commands += commands;
    if (!written)
        return;
    s->groups++;
    s->group_commands_total += commands;
    s->group_buckets[journal_stats_bucket(commands, false)]++;
}
