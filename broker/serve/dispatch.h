/*
 * dispatch.h: the way of a parsed command to the code that does it, and of its reply back.
 *
 *   LOCAL ──► local/, replied to at once
 *   QUERY ──► view ──► replied to at once, or parked (READ WAIT)
 *   WRITE ──► entry ──► journal ··· dispatch_done ──┬─ answer.c
 *                          ▲                        ├─ nothing yet, and WAIT is left ──► wait.c
 *                          └── news, time ──────────┴──────────────────────────────────────┘
 *
 * Order on a text connection: WRITE commands may be in flight together, since entries come back in
 * the order of their submission. (A POP that has looked at much, and found nothing yet, is submitted again; what came
 * back meanwhile is replied to after it.) Everything else (QUERY, LOCAL, a POP that may park, an error)
 * first waits until nothing is in flight: STALL tells the parser to stop and to come again. That
 * is also why a client reads its own writes. On MessagePack-RPC replies carry ids and nothing waits.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_DISPATCH_H
#define HALFMQ_BROKER_DISPATCH_H

#include "broker/net/conn.h"

/* session_ops.command. cmd and its slices are only good during the call. */
enum verdict dispatch(struct conn *c, const struct command *cmd, struct request rq);

/* What had to be replied to first has been: replies to what came back meanwhile. */
void dispatch_go_on(struct conn *c);

/* The connection ends: gives back what waits to be replied to. */
void dispatch_drop(struct conn *c);

#endif
