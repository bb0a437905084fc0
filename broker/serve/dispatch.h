/*
 * dispatch.h: a parsed command on its way to whoever does it, and the answer's way back.
 *
 *   LOCAL ──► local.c, answered at once
 *   QUERY ──► view ──► answered at once, or parked (READ WAIT)
 *   WRITE ──► entry ──► journal ··· done ──┬─ answer
 *                          ▲               ├─ nothing yet, and WAIT is left ──► waiter
 *                          └── news, time ─┴──────────────────────────────────────┘
 *
 * Order on a text connection: WRITE commands may be in flight together, since entries come back in
 * the order of their submission. Everything else (QUERY, LOCAL, a POP that may park, an error)
 * first waits until nothing is in flight: STALL tells the parser to stop and to come again. That
 * is also why a client reads its own writes. On MessagePack-RPC answers carry ids and nothing
 * waits.
 *
 * What was granted to a caller that has gone is given back: RELEASE for messages, UNASK for checks.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_DISPATCH_H
#define HALFMQ_BROKER_DISPATCH_H

#include "broker/net/conn.h"

struct waiter;

#define WAITS_MAX 1024 /* parked at once by one connection */

enum verdict { GO_ON, STALL };

/* The command's slices may end with this call. */
enum verdict dispatch(struct conn *c, const struct command *cmd, struct request rq);

/* A woken waiter looks again. */
void dispatch_wake(struct loop *l, struct waiter *w);

/* Its deadline: answers empty. (The callback of waiters_init; arg: the loop.) */
void dispatch_expire(struct waiter *w, void *arg);

/* The client half-closed, or the loop drains: waits end empty. */
void dispatch_end_waits(struct conn *c);

/* The client is gone: waits end without an answer. */
void dispatch_drop_waits(struct conn *c);

/* Ready again at once: what a POP or TAKE was granted for somebody who is gone. */
void dispatch_release(struct loop *l, const struct entry *e);

/* Gives back messages that were granted, by their receipts. */
void dispatch_give_back(struct loop *l, struct slice group, struct slice *receipts, uint32_t n);

/* When time alone may help a caller that found nothing, on the monotonic clock; 0: it cannot. */
int64_t dispatch_retry_ms(struct loop *l, const struct entry *e);

#endif
