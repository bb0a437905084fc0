/*
 * account.h: what all connections hold together, and who may go on while that is too much.
 *
 *   held  0 ───────────────── low ───────────── high ──────► high: an eighth of the setting `memory`
 *           everybody goes on      │ who waits     │ only what is small goes on:
 *                                  │ goes on again │   a small request that is complete, and its small reply
 *                                                  │   a subscriber that reads
 *                                                  │   LANE_SMALL, LANE_LARGE: a few requests to their end
 *
 * Below memory=64MB it is a sixteenth: there the program itself takes a large part.
 *
 * Counted are the buffers of a connection (input, output, the list of a request's words) and what its session keeps for
 * it (parked waits, subscriptions, streams, the room that a POP under way is likely to need). Not counted are the
 * connection itself, which max_connections bounds, and entries in the journal, which have a share of their own.
 *
 * Over the high water, a connection reads no more behind an unfinished request, and begins no command at all while it
 * has unsent output; it waits in its loop's list (conn_await_room). So that unfinished requests cannot lock each other
 * out for ever, a few may be read to their end all the same: LANES_SMALL of them up to LANE_SMALL_BYTES, and one of any
 * size.
 *
 * A reply that could be large is made small then, SHORT_REPLY_BYTES, and only for a client that has read what it was
 * sent before (conn_is_read), so that the kernel takes all of it and nothing is held. A reply that cannot be made small
 * needs a reply lane: there is one, and there are LANES_REPLY while less than twice the high water is held, each until
 * its client has read the reply. These, one reply a loop and READ_BYTES_SHORT a connection bound what is held over the
 * high water.
 *
 * A connection that holds much, or a lane, and neither reads nor sends for a while is closed while others wait, so
 * that clients which never go on cannot keep the others waiting for ever (conn_room.c).
 *
 * Threads: any; everything is atomic, and nothing here waits.
 */
#ifndef HALFMQ_BROKER_ACCOUNT_H
#define HALFMQ_BROKER_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

#define LANE_SMALL_BYTES ((size_t)KIB(128))
#define LANES_SMALL 8
#define LANES_REPLY 4
#define SHORT_REPLY_BYTES ((size_t)KIB(16)) /* and one message more */
#define SHORT_REPLY_BYTES_MAX (2 * SHORT_REPLY_BYTES) /* a larger one needs a lane */

enum account_lane { LANE_NONE, LANE_SMALL, LANE_LARGE };

struct account {
    _Atomic size_t held; /* bytes */
    _Atomic uint32_t small, large, replies; /* lanes that are taken */
    _Atomic size_t work;
    size_t low, high;
};

/* Commands of many words or messages, in the journal: about how many words and messages together. One that comes while
 * there are WORK_MOST waits, so that small commands do not stand behind seconds of work. */
#define WORK_MOST 100000
#define WORK_SMALL 128 /* a command with less is never counted */

/* memory: the setting. Before anybody uses it. */
void account_init(struct account *a, size_t memory);

/* What one connection holds has changed. */
static inline void account_change(struct account *a, size_t from, size_t to)
{
    atomic_fetch_add_explicit(&a->held, to - from, memory_order_relaxed); /* modulo, so that it may be less */
}

static inline size_t account_held(const struct account *a)
{
    return atomic_load_explicit(&a->held, memory_order_relaxed);
}

static inline bool account_is_over(const struct account *a)
{
    return account_held(a) >= a->high;
}

/* True where those that wait may go on. */
static inline bool account_has_room(const struct account *a)
{
    return account_held(a) < a->low;
}

static inline bool account_has_work(const struct account *a)
{
    return atomic_load_explicit(&a->work, memory_order_relaxed) >= WORK_MOST;
}

/* A request that will have at least `bytes` is to be read on over the high water; *lane: that of its connection. False:
 * it must wait, and keeps the lane that it has, so that no more requests than lanes grow. */
bool account_take_lane(struct account *a, enum account_lane *lane, size_t bytes);
void account_give_lane(struct account *a, enum account_lane lane);

/* True where so much is held that nothing more may be kept for a connection. */
static inline bool account_is_far_over(const struct account *a)
{
    return account_held(a) >= 2 * a->high;
}

/* The same for a command with a large reply. */
bool account_take_reply_lane(struct account *a);

/* True where account_take_reply_lane would give one now. */
static inline bool account_has_reply_lane(const struct account *a)
{
    return atomic_load_explicit(&a->replies, memory_order_relaxed) < (account_is_far_over(a) ? 1 : LANES_REPLY);
}

void account_give_reply_lane(struct account *a);

#endif
