/*
 * dispatch.h: a parsed command on its way to whoever does it, and the answer's way back.
 *
 *   LOCAL ──► local.c, answered at once
 *   QUERY ──► view ──► answered at once, or parked (READ WAIT)
 *   WRITE ──► entry ──► journal ··· dispatch_done ──┬─ answer.c
 *                          ▲                        ├─ nothing yet, and WAIT is left ──► wait.c
 *                          └── news, time ──────────┴──────────────────────────────────────┘
 *
 * Order on a text connection: WRITE commands may be in flight together, since entries come back in
 * the order of their submission. Everything else (QUERY, LOCAL, a POP that may park, an error)
 * first waits until nothing is in flight: STALL tells the parser to stop and to come again. That
 * is also why a client reads its own writes. On MessagePack-RPC answers carry ids and nothing
 * waits.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_DISPATCH_H
#define HALFMQ_BROKER_DISPATCH_H

#include "broker/net/conn.h"

/* The command's slices may end with this call. (session_ops.command) */
enum verdict dispatch(struct conn *c, const struct command *cmd, struct request rq);

#endif
