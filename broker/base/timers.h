/*
 * timers.h: the deadlines of one loop, in a heap of nodes that lie inside their owners (protocol/base/heap.h).
 *
 *   waiter.deadline ─┐
 *   queue.retry ─────┼──► heap, earliest on top ──► ONE libevent timer, armed for the top
 *   conn.linger ─────┘
 *
 * Thousands of parked waits come and go, and most deadlines are cleared before they fire. An event for each
 * would cost 128 bytes and two list operations in libevent; a node here costs 24 bytes and about log2(n) moves.
 *
 * Threads: the loop's own. Times are milliseconds of timers_now (monotonic).
 */
#ifndef HALFMQ_BROKER_TIMERS_H
#define HALFMQ_BROKER_TIMERS_H

#include "protocol/base/heap.h"
#include "protocol/status.h"

struct timer {
    struct heap_node node; /* first, so that a node is its timer */
    void (*fire)(struct timer *t, void *arg); /* t is out of the heap already; arg: of timers_run */
};

struct timers {
    struct heap heap;
};

void timers_init(struct timers *ts);
void timers_fini(struct timers *ts);

/* Sets or moves; ST_NOMEM leaves the timer as it was. */
enum status timer_set(struct timers *ts, struct timer *t, int64_t due_ms) MUST_CHECK;

/* Unsets it. No-op if it is not set. */
void timer_clear(struct timers *ts, struct timer *t);

static inline bool timer_is_set(const struct timer *t)
{
    return heap_has(&t->node);
}

/* When it fires; where it is not set, when it was to fire the last time. */
static inline int64_t timer_due_ms(const struct timer *t)
{
    return t->node.due;
}

/* When the next one is due; INT64_MAX: none is set. */
int64_t timers_next(const struct timers *ts);

/* Fires all that are due at now_ms, and were set before this call, earliest first. */
void timers_run(struct timers *ts, int64_t now_ms, void *arg);

/* The monotonic clock, ms. Any thread. */
int64_t timers_now(void);

#endif
