/*
 * journal_stats.h: what the journal counts, for INFO and /metrics (journal_stats copies it).
 *
 * sync_buckets and group_buckets are histograms: bucket i counts what is at most its bound, and above that of i - 1;
 * the last has no bound.
 */
#ifndef HALFMQ_BROKER_JOURNAL_STATS_H
#define HALFMQ_BROKER_JOURNAL_STATS_H

#include "storage/state.h"

#define JOURNAL_BUCKETS 20
struct journal_stats {
    struct tally tally;
    uint64_t groups, commands, syncs;
    uint64_t sync_ns_total, group_commands_total;
    uint64_t sync_buckets[JOURNAL_BUCKETS];  /* upper bounds: journal_sync_bound_s(i), last +Inf */
    uint64_t group_buckets[JOURNAL_BUCKETS]; /* upper bounds: 1, 2, 4, ... last +Inf */
    uint64_t pending, pending_bytes;
    int64_t disk_free_bytes;
    bool disk_full, disk_low;
};

/* Upper bound of sync bucket i, in seconds. The last bucket has none: i < JOURNAL_BUCKETS - 1. */
double journal_sync_bound_s(unsigned i);

/* Counts a sync, and a group. A group that wrote nothing (an idle TICK, empty POPs) is no group commit and would blur
 * the figures: only its commands count. */
void journal_stats_count_sync(struct journal_stats *s, int64_t took_ns);
void journal_stats_count_group(struct journal_stats *s, uint32_t commands, bool written);

#endif
