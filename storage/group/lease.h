/*
 * lease.h: what becomes of messages that POP handed out: a receipt that names them, a delivery that failed, a
 * lease that is over.
 *
 *   receipt   topic:queue:first-last#attempt     it counts while the lease of that attempt holds and the
 *                                                message is not acknowledged
 *
 * A lease that is over does not hold, whether the timer has noticed it yet or not. A receipt of a range is worked
 * off run by run, not message by message: what one POP took of a queue is mostly one run, and gone in one step.
 */
#ifndef HALFMQ_STORAGE_LEASE_H
#define HALFMQ_STORAGE_LEASE_H

#include "storage/group/group.h"

/* True where POP may lease more for the group: it has fewer than LEASES_MAX leased runs. */
static inline bool lease_room(const struct gt *gt)
{
    return gt->runs.leased_runs < LEASES_MAX;
}

/* True where a command may cut a leased run in two: it has fewer than twice as many. */
static inline bool lease_room_to_cut(const struct gt *gt)
{
    return gt->runs.leased_runs < UINT64_C(2) * LEASES_MAX;
}

/* The run of a receipt whose lease holds at now_ms, or NULL. */
struct run *lease_find(struct gt *gt, const struct message_id *id, int64_t now_ms);

/* Where lease_next begins for a receipt. */
uint64_t lease_from(const struct gt *gt, const struct message_id *first);

/* The next run that has messages of the receipt and whose lease holds; *from is that of lease_from at first, and moves
 * behind it. NULL: there are no more. The run may be cut or removed before the next call. */
struct run *lease_next(struct gt *gt, const struct message_id *first, uint64_t last, int64_t now_ms,
                       uint64_t *from);

/* How many messages the receipt still holds; and acknowledging them, which returns how many they were. */
uint64_t lease_held(struct gt *gt, const struct message_id *first, uint64_t last, int64_t now_ms);

uint64_t lease_ack(struct state *st, struct gt *gt, const struct message_id *first, uint64_t last,
                   int64_t now_ms);

/* The pause before the messages of the run are delivered again. */
int64_t lease_backoff(const struct gt *gt, const struct run *r);

/* Makes a leased run wait until due_ms; attempt: how often it was delivered. r must not be used any more. As run_wait. */
enum status lease_wait(struct state *st, struct gt *gt, struct run *r, uint32_t attempt, int64_t due_ms) MUST_CHECK;

/* A delivery of the live message at offset has failed: it waits until due_ms to be delivered again, or, if its
 * attempts are used up, goes to the dead letters. Fails as dead_letter does: unchanged. */
enum status lease_failed(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                         uint64_t offset, int64_t due_ms, struct slice reason) MUST_CHECK;

/* Ends leases that are over, adds what is ready to the news, and sets the timer again. What is more than
 * a command does (core_spent) is left to the next TICK. */
void lease_tick(struct state *st, const struct stamp *stamp, struct gt *gt);

#endif
