/*
 * ordered.h: what an ORDERED group does: one message of an ORDER key is out at a time, and the next one only after that
 * is acknowledged or dead.
 *
 *   POP, fresh messages   ordered_meet     TAKE: it holds its key · PASS: its key is known · FULL: the queue waits
 *   POP, skipped ones     order_oldest, ordered_take
 *   ACK, dead, expired    ordered_done     its key is free; a skipped one that is ready now is told as news
 *   NACK, lease ends      ordered_wait     it keeps its key, and is delivered again before all others of it
 *
 *   n leased and waiting < ORDERED_HELD_MAX, n skipped of a queue < its part of ORDERED_SKIPPED_MAX: beyond that no
 *   fresh message of the queue is taken, nor passed over, until others are done
 *
 *   Where ORDER_ENOUGH are leased already, only its part of ORDER_NEAR: what is looked for far ahead lies scattered,
 *   between messages that wait, and costs many times as much to lease, send and acknowledge as what lies together
 *
 * A group becomes ordered and ceases to be so at any time (ordered_switch.h). With leases out, a key may have several
 * holders then; those that fail are put among the skipped ones, so that the order holds from there on.
 *
 * A gt without `order` pays nothing: callers ask for that first.
 */
#ifndef HALFMQ_STORAGE_ORDERED_H
#define HALFMQ_STORAGE_ORDERED_H

#include "storage/group/group.h"
#include "storage/group/order.h"

enum ordered_fate { ORDERED_TAKE, ORDERED_PASS, ORDERED_FULL };

/* What becomes of a fresh message, which may not have expired: the one at offset of the record, with that key (0: none).
 * TAKE: the caller leases it. PASS: it is skipped, which is remembered; the cursor passes it. FULL: the cursor stays.
 * Where memory runs out the state is sick. */
enum ordered_fate ordered_meet(struct state *st, struct gt *gt, uint32_t queue, const struct record_info *info,
                               uint64_t offset, uint32_t key);

/* Takes a ready message out of its block, as order_take. drop: nobody gets it, because it has expired or was purged;
 * otherwise the caller leases it. */
void ordered_take(struct state *st, struct gt *gt, struct ring_message *m, bool drop);

/* The message, which was leased or waited, is done: before its bit is cleared. */
void ordered_done(struct state *st, struct gt *gt, uint32_t queue, uint64_t offset);

/* The same of all live messages of the run in first..last. */
void ordered_done_in(struct state *st, struct gt *gt, const struct run *r, uint64_t first, uint64_t last);

/* Makes a leased run wait, as run_wait does. Those that must not come next are skipped instead, and those that expire
 * before due_ms wait until then only, so that they do not hold their keys for longer. r must not be used any more. */
enum status ordered_wait(struct state *st, struct gt *gt, struct run *r, uint32_t attempt, int64_t due_ms) MUST_CHECK;

#endif
