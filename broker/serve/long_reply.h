/*
 * long_reply.h: replies that are made in steps: to queries that work so (storage/query.h): LAG, FIND, and lists; and to
 * CHECKS, where it asks about a long transaction (../checks/asked.h); and what a member is sent of such a one.
 *
 *   command ──► queued ──► a view of its own ──► a step a turn ──► done
 *                 │             │                   ├─ in pieces: out, as the client's socket takes them
 *                 │             │                   └─ gathered: out at the end
 *                 └─ LONG_REPLIES_MAX are at work
 *
 * A reply is sent in pieces where nothing else can be sent on its connection meanwhile: nothing is in flight or waits
 * for news, and no further command is parsed until its end. So it takes little memory, however long it is. Otherwise it
 * is gathered, and takes a reply lane while connections hold too much memory.
 *
 * FIND and the lists with a COUNT have many rows seldom, so they begin as other queries do (dispatch.c), and come here
 * when one step is not enough. They gather what they find before they send it. Where connections hold too much memory
 * before one is done, it begins again once it has a reply lane.
 *
 * That to CHECKS keeps the entry that has come back, which counts as in flight until the end: then the replies of a text
 * connection keep their order, and `ended` is told. A connection that ends before all is in its output has not been
 * asked: the ask is taken back.
 *
 * A push to a member that has only subscribed to check-backs is sent in pieces, too, and nothing else is pushed to it
 * meanwhile. To others it is sent at the end.
 *
 * Each has a view of its own, and the store keeps what that view sees. So only LONG_REPLIES_MAX are at work in a loop, and
 * one whose client does not read is cut while others wait, and after a minute in any case.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_LONG_REPLY_H
#define HALFMQ_BROKER_LONG_REPLY_H

#include "broker/checks/asks.h"
#include "broker/net/conn.h"
#include "storage/query.h"

#define LONG_REPLIES_MAX 16 /* at work, a loop */

struct long_replies;

/* Has the query mostly more than one step? */
bool long_reply_is_usual(const struct command *cmd);

/* Answers the query, now or step by step. */
void long_reply_begin(struct conn *c, const struct command *cmd, struct request rq);

/* Replies to CHECKS with the object of a note, step by step, and takes the entry. Of an EXEC it is one of the replies, and
 * the next one is made behind its end. False: a reply is being made already. */
bool long_reply_begin_check(struct conn *c, struct request rq, struct entry *e, struct ask ask);

/* Sends the object of a note to a member that subscribes: as a push, or as a request `check`. checks: the CHECKS that has
 * answered it. The ask is among those of the session as soon as it begins to be sent. False: another reply is being made. */
bool long_reply_begin_push(struct conn *c, const struct command *checks, struct ask ask);

/* Is that so, or to come? Then nothing else may be pushed to it. */
bool long_reply_pushes(struct conn *c);

/* Must the reply to a CHECKS wait until the connection's long reply ends? Not where that is a push that has not begun: it waits
 * for what is in flight. */
bool long_reply_holds_checks(struct conn *c);

/* Is the entry kept for the reply that is being made? */
bool long_reply_has(struct conn *c, const struct entry *e);

/* Does the next step. True: there is more. */
bool long_replies_run(struct loop *l);

/* Gives up the connection's, if it has one. */
void long_reply_drop(struct conn *c);

/* ended: is told that a connection's reply to CHECKS, or a push, has ended; entries may have come back behind it.
 * pushed: the same of a push, with its producer group; settled: its ask was not taken back. */
void long_replies_init(struct long_replies *all, void (*ended)(struct conn *c),
                       void (*pushed)(struct loop *l, struct slice pgroup, bool settled));

#endif
