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
 * once (UNASK). Of an RPC taker that never answers only ASKS_MAX open asks are remembered; what it
 * was asked before is asked again anyway.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CHECKBACK_H
#define HALFMQ_BROKER_CHECKBACK_H

#include "broker/pubsub.h"

#define ASKS_MAX 1024
#define PULL_COUNT 64

/* Asks the store for what is due, unless that is under way already. */
void checkback_pull(struct channel *ch);

/* The answer of CHECKS (an array of maps): given back, as nobody takes it; or as an array of JSON
 * texts (false: no memory). */
void checkback_unask(struct loop *l, struct slice reply);
bool checkback_as_json(struct slice reply, struct buf *out) MUST_CHECK;

/* A MessagePack-RPC response: the answer to a `check` request. Unknown ids are ignored. */
void checkback_answer(struct conn *c, const struct rpc_frame *f);

#endif
