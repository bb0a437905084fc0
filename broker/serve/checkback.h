/*
 * checkback.h: sends check-backs to the members that asked for them by SUBSCRIBE check:<pgroup> or checks_serve. Each
 * loop has one channel a producer group, which pulls what is due:
 *
 *   member joins, news, time ──► checkback_pull ──► CHECKS pgroup COUNT n ──► journal
 *                                    ▲                                          │
 *                                    └── there may be more ── each check to ◄───┘
 *                                                             one member in turn
 *   member's answer (RPC result, or COMMIT ... on any connection) ──► COMMIT | ROLLBACK | UNKNOWN
 *
 * The store counts an ask when CHECKS returns it. An ask that no member here can take is undone at once (UNASK). So are
 * those that a member had not answered when its connection ended; asks.h remembers them. A check that was sent as text
 * may be answered on any connection, or by UNKNOWN. A member that answers with an error is none any more. The store knows that, and undoes only an ask that is the newest and
 * unanswered. A client that polls with CHECKS need not stay connected: its asks are not undone.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CHECKBACK_H
#define HALFMQ_BROKER_CHECKBACK_H

#include "broker/net/conn.h"
#include "broker/serve/channel.h"

#define PULL_COUNT 64

/* Runs a channel of check-backs: asks the store for what is due, unless that is under way already or is not for this
 * broker to do (journal_in_charge). Returns false: the rest happens when the entry comes back. */
bool checkback_pull(struct channel *ch);

/* The check of a long transaction, which takes a while to be sent, has been sent, or could not be: its member can be asked
 * again. */
void checkback_pushed(struct loop *l, struct slice pgroup, bool settled);

/* A MessagePack-RPC response: a member's answer to a `check` request. Submits its decision. After an error the client is
 * no member of that producer group any more, and the ask is undone. Unknown ids are ignored. */
void checkback_answer(struct conn *c, const struct rpc_frame *f);

#endif
