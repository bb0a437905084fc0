/*
 * waiter.h: callers parked in a WAIT, and who is woken by what.
 *
 *   topic "orders" ──┬─► queue (group a, orders): w1 w4 w7    POP: they compete, oldest first,
 *                    └─► queue (group b, orders): w2          as many as became ready
 *   group (a,orders) ──► queue (group a, orders)
 *   topic "orders" ────► queue readers of orders: w3 w5       READ: every one is woken
 *   pgroup "shop" ─────► queue shop: w6                       CHECKS: they compete
 *   gone (a,orders) ───► queue: w7                            a stream (TAKE) stands with the POPs, and
 *                                                             here: what it waits for was deleted
 *
 *   PARKED ── news, or time ──► WOKEN ── waiters_next ──► RUNNING ── waiter_park_again ──► PARKED
 *      └── waiter_free (answered, expired, the caller has gone) ◄─────────┘
 *
 * A waiter that was woken keeps its place in its queues, so that one that finds nothing is the
 * oldest again. The entry is the waiter's own while PARKED and WOKEN, the journal's while RUNNING
 * (entry->arg then leads back to the waiter).
 *
 * Lost wake-ups: the news that was handed out is remembered, newest index by bucket of key. A
 * caller whose answer `nothing` is of an older group, or of that very group (what came may have
 * been applied behind it), must look again instead of parking (waiters_missed).
 *
 * Time: what only time makes ready (retry_at_ms) is kept once a queue and wakes ONE waiter; when
 * that one finds something, the next is woken, so that a thousand callers do not all ask for one
 * message.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_WAITER_H
#define HALFMQ_BROKER_WAITER_H

#include "broker/journal/entry.h"
#include "broker/journal/mailbox.h"
#include "broker/base/timers.h"

struct waiter;
struct wait_queue;
struct journal;

struct wait_link {
    struct waiter *waiter;
    struct wait_queue *queue;
    struct wait_link *prev, *next;
};

/* What its owner does; arg: of waiters_run, or of timers_run. */
struct waiter_ops {
    void (*woken)(struct waiter *w, void *arg); /* RUNNING now, its entry in it: looks again */
    void (*expired)(struct waiter *w, void *arg); /* at its deadline, PARKED: frees it, or wakes it */
};

enum waiter_state { WAITER_PARKED, WAITER_WOKEN, WAITER_RUNNING };

struct waiter {
    struct timer deadline;
    int64_t deadline_ms; /* monotonic */
    struct entry *entry; /* NULL while RUNNING through the journal */
    struct waiters *set;
    const struct waiter_ops *ops;
    struct waiter *next_woken;
    enum waiter_state state;
    bool by_time; /* woken by the clock: see above */
    /* ---- the owner's, untouched here ---- */
    void *owner;
    struct waiter *prev_mine, *next_mine; /* waits of one connection */
    bool gone; /* the caller has closed meanwhile */
    uint64_t member_of; /* the producer group that it can be asked for; 0: none */
    /* ---- ---- */
    uint32_t n_links;
    struct wait_link links[];
};

#define WAIT_BUCKETS 1024
#define SEEN_BUCKETS 4096

struct waiters {
    struct timers *timers;
    uint32_t n; /* all of them, whatever their state */
    struct waiter *first_woken, *last_woken;
    struct wait_queue *by_key[WAIT_BUCKETS];
    struct wait_queue *by_topic[WAIT_BUCKETS];
    uint64_t seen[SEEN_BUCKETS]; /* index of the newest news, by key */
    uint64_t seen_all; /* ... that overflowed */
};

void waiters_init(struct waiters *ws, struct timers *timers);
void waiters_fini(struct waiters *ws); /* all waiters must be gone */

/* True where news of the entry's group or a newer one was handed out already for what it waits
 * for. */
bool waiters_missed(const struct waiters *ws, const struct entry *e);

/* When time alone may help the caller of an entry that found nothing, on the monotonic clock; 0: it cannot. */
int64_t waiter_retry_ms(struct journal *j, const struct entry *e);

/* Parks a POP or CHECKS that found nothing, or a READ (key: of its query_hint). The entry becomes
 * the waiter's. retry_ms: monotonic time at which time alone may help; 0: never. NULL: no memory,
 * and the entry stays the caller's. */
struct waiter *waiter_park(struct waiters *ws, const struct waiter_ops *ops, struct entry *e, uint64_t key,
                           int64_t deadline_ms, int64_t retry_ms);

/* A RUNNING or WOKEN waiter found nothing: back to its place. ST_NOMEM leaves it as it was. */
enum status waiter_park_again(struct waiter *w, struct entry *e, int64_t retry_ms) MUST_CHECK;

/* PARKED: it must look again (waiters_missed said so). */
void waiter_wake(struct waiter *w);

/* Hands out the next woken waiter as RUNNING, its entry still in it; NULL: none. */
struct waiter *waiters_next(struct waiters *ws);

/* All that are woken look again (ops->woken). */
void waiters_run(struct waiters *ws, void *arg);

/* Takes it out of everything. Its entry, if it still has one, is freed. found: it is answered with
 * something (with by_time this wakes the next in line, see above). */
void waiter_free(struct waiter *w, bool found);

/* News was taken: remembers it and moves those concerned to WOKEN. */
void waiters_news(struct waiters *ws, const struct news *news);

#endif
