/*
 * checkback.h: handing check-backs to those who asked for them by SUBSCRIBE check:<pgroup> or
 * checks_serve. One puller a loop and producer group, which lives in the channel:
 *
 *   taker joins, news, time ──► checkback_pull ──► CHECKS pgroup COUNT n ──► journal
 *                                    ▲                                          │
 *                                    └── there may be more ── each object to ◄──┘
 *                                                             one taker in turn
 *   taker's answer (RPC result, or COMMIT ... on any connection) ──► COMMIT | ROLLBACK | UNKNOWN
 *
 * An ask counts in the store when CHECKS hands it out. What finds no taker here is given back at
 * once (UNASK), and so is what a taker had not answered when its connection ended: asks.h remembers
 * it. The answer to one that was handed over as text may come by any connection, or be UNKNOWN; the
 * store knows, and lets only the newest ask, unanswered, be taken back. Who polls with CHECKS need not
 * stay connected: that ask stands.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CHECKBACK_H
#define HALFMQ_BROKER_CHECKBACK_H

#include "broker/net/conn.h"
#include "broker/serve/channel.h"

#define PULL_COUNT 64

/* Asks the store for what is due, unless that is under way already, or not this broker's (journal_in_charge). Runs a
 * channel of check-backs: false, as it goes on by itself. */
bool checkback_pull(struct channel *ch);

/* A MessagePack-RPC response: the answer to a `check` request. Unknown ids are ignored. */
void checkback_answer(struct conn *c, const struct rpc_frame *f);

#endif
