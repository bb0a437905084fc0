/*
 * journal_pace.h: who should lead the next groups, and how long a loop may gather commands for one.
 *
 *   quick syncs, small groups   the loop whose turn ends leads: a hand-over costs more than a sync
 *   slow syncs, large groups    the writer thread leads: loops read and parse meanwhile
 *
 *   a stall is near             the same: the store may let its writer wait until it has flushed (store_stalls)
 *
 * The first two follow from moving averages of what a group took to be written and synced, and how many commands it
 * had.
 *
 * Threads: learned by the journal's leader; `slow` and `gather_ns` are read by any.
 */
#ifndef HALFMQ_BROKER_JOURNAL_PACE_H
#define HALFMQ_BROKER_JOURNAL_PACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct journal_pace {
    int64_t sync_ewma_ns, group_ewma; /* the latter in 1/16 commands */
    bool costly, stall;               /* by these averages; a stall is near */
    atomic_bool slow;                 /* either: the writer thread leads */
    _Atomic int64_t gather_ns;        /* half of what a sync takes, bounded */
};

void journal_pace_learn(struct journal_pace *p, int64_t sync_ns, uint32_t commands);
void journal_pace_stall(struct journal_pace *p, bool near);

#endif
