/*
 * waiter.h: parked requests, and which news wakes which of them.
 *
 *   topic "orders" ──┬─► queue (group a, orders): w1 w4 w7    POP: they compete, oldest first,
 *                    └─► queue (group b, orders): w2          as many as became ready
 *   group (a,orders) ──► queue (group a, orders)
 *   topic %RETRY%a ────► queue (group a, %RETRY%a): w1 w4 w7  every POP of the group: it takes from there, too
 *   topic "orders" ────► queue readers of orders: w3 w5       READ: every one is woken
 *   pgroup "shop" ─────► queue shop: w6                       CHECKS: they compete
 *   gone (a,orders) ───► queue: w7                            a stream (TAKE) is in the queue of the POPs,
 *                                                             and here: what it waits for was deleted
 *
 *   PARKED ── news, or time ──► WOKEN ── waiters_next ──► RUNNING ── waiter_park_again ──► PARKED
 *      └── waiter_free (reply sent, expired, the client has gone) ◄───────┘
 *
 * A waiter that was woken keeps its place in its queues. So one that finds nothing is the
 * oldest again. The entry is the waiter's own while PARKED and WOKEN, the journal's while RUNNING
 * (entry->arg then leads back to the waiter).
 *
 * Lost wake-ups: the newest index of delivered news is remembered by bucket of key. A request that came back with
 * `nothing` from an older group, or from that very group (where the message may have been applied after it), must look
 * again instead of parking (waiters_missed).
 *
 * Where keys of an ORDERED group are held, or INFLIGHT is used up, an ACK lets one look again at once (waiters_acked).
 *
 * Time: when only time makes a message ready (retry_at_ms), the queue has one timer for it, which wakes ONE waiter. If
 * that one finds something, the next one is woken. So a thousand waiters do not all look for one message.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_WAITER_H
#define HALFMQ_BROKER_WAITER_H

#include "broker/journal/entry.h"
#include "broker/journal/mailbox.h"
#include "broker/base/timers.h"
#include "protocol/base/hash.h"

struct waiter;
struct wait_queue;
struct journal;

struct wait_link {
    struct waiter *waiter;
    struct wait_queue *queue;
    struct wait_link *prev, *next;
};

/* What the owner of a waiter does. arg: the argument of waiters_run, or of timers_run. */
struct waiter_ops {
    void (*woken)(struct waiter *w, void *arg); /* it is RUNNING and holds its entry: look again */
    void (*expired)(struct waiter *w, void *arg); /* its deadline has come, it is PARKED: free it, or wake it */
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
    bool by_time; /* woken by the retry timer of a queue */
    /* ---- the owner's, untouched here ---- */
    void *owner;
    struct waiter *prev_mine, *next_mine; /* waits of one connection */
    bool gone; /* the connection ended while it was RUNNING */
    size_t cost; /* bytes that its connection is charged with */
    uint64_t member_of; /* CHECKS: the key of the producer group that counts it as a member; 0: none */
    /* ---- ---- */
    uint32_t n_links;
    struct wait_link links[];
};

#define SEEN_BUCKETS 4096

struct waiters {
    struct timers *timers;
    uint32_t n; /* all of them, whatever their state */
    struct waiter *first_woken, *last_woken;
    struct hash by_key, by_topic; /* queues; of by_topic, those with a second key */
    uint64_t seen[SEEN_BUCKETS]; /* index of the newest news, by key */
    uint64_t seen_all; /* ... that overflowed */
};

void waiters_init(struct waiters *ws, struct timers *timers);
void waiters_fini(struct waiters *ws); /* all waiters must be gone */

/* True where news for what the entry waits for was delivered already, and is of the entry's group or a newer one. */
bool waiters_missed(const struct waiters *ws, const struct entry *e);

/* The time on the monotonic clock at which an entry that found nothing may find something without news; 0: never. */
int64_t waiter_retry_ms(struct journal *j, const struct entry *e);

/* Parks a POP, TAKE or CHECKS that found nothing, or a READ (key: of its query_hint). The entry becomes the waiter's.
 * retry_ms: of waiter_retry_ms. NULL: no memory, and the entry stays the caller's. */
struct waiter *waiter_park(struct waiters *ws, const struct waiter_ops *ops, struct entry *e, uint64_t key,
                           int64_t deadline_ms, int64_t retry_ms);

/* A RUNNING waiter found nothing: parks it again, in its old place. ST_NOMEM: it is as before. */
enum status waiter_park_again(struct waiter *w, struct entry *e, int64_t retry_ms) MUST_CHECK;

/* Wakes a PARKED waiter: it must look again. */
void waiter_wake(struct waiter *w);

/* Takes the next woken waiter out of the list and makes it RUNNING; it still holds its entry. NULL: there is none. */
struct waiter *waiters_next(struct waiters *ws);

/* Calls ops->woken for all that are woken. */
void waiters_run(struct waiters *ws, void *arg);

/* Takes it out of its queues and frees it, with its entry if it holds one. found: it found something; if the clock
 * had woken it, the next in its queues is woken. */
void waiter_free(struct waiter *w, bool found);

/* An ACK was submitted. Wakes one POP or TAKE of its group and topic that found nothing because of what was leased, so that
 * it looks again in the ACK's own commit group, and not in the one after the next: news comes when that group is
 * durable. It may find nothing, and is told by news then as all others are. */
void waiters_acked(struct waiters *ws, const struct command *ack);

/* Remembers the news, and wakes the waiters that it concerns. */
void waiters_news(struct waiters *ws, const struct news *news);

#endif
