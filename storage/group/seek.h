/*
 * seek.h: GROUP SEEK: a group on a topic begins again somewhere else.
 *
 *              acknowledged   leased, waiting    never delivered
 *   before  0 ─────────────│ runs and gaps │ next ─────────────────► end
 *   after   0 ────────│ next ──────────────────────────────────────► end
 *                      ▲ target: from here on everything is delivered once more; before it, nothing is
 *
 * All runs go, so receipts are stale. Attempt numbers of a message are never used twice: what may have been delivered
 * before (below `again` of its queue) begins behind the highest number that was given out, all else at the group's base.
 * Runs count their deliveries by themselves, so ATTEMPTS and BACKOFF count from the SEEK.
 *
 * Where one queue is moved, its waiting runs lie among those of other queues on disk, by due time. They are void from
 * then on (seek_voided) and go when their turn comes.
 */
#ifndef HALFMQ_STORAGE_SEEK_H
#define HALFMQ_STORAGE_SEEK_H

#include "storage/group/group.h"

/* Where to; one: only that queue moves, and only that place in `to` counts. */
struct seek {
    bool one;
    uint32_t queue;
    uint64_t to[QUEUES_MAX];
};

/* Fills in *ret_seek for all queues, by POINT_EARLIEST, POINT_LATEST, or the time of the first message to be delivered.
 * ST_IO, ST_NOMEM. */
enum status seek_find(struct state *st, const struct gt *gt, int64_t point, struct seek *ret_seek) MUST_CHECK;

/* For one queue, by an offset: moved to the first message that is kept, or to the end, where it is beyond. */
void seek_find_offset(const struct gt *gt, uint32_t queue, uint64_t offset, struct seek *ret_seek);

/* Moves the group. ST_LIMIT: it has used up its attempt numbers; ST_IO, ST_NOMEM. Then it is unchanged. */
enum status seek_go(struct state *st, struct gt *gt, const struct seek *seek) MUST_CHECK;

/* True where the waiting run is one from before a SEEK of its queue: it is to be dropped. */
static inline bool seek_voided(const struct gt *gt, const struct run *r)
{
    const struct gtq *q = &gt->queues[r->queue];
    return r->base < q->again && run_is_void(q->again_base, r->attempt, r->delivered);
}

#endif
