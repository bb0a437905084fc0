/*
 * giveback.h: when a client has closed its connection, what was granted to it and did not reach it is requeued at once,
 * so that another client gets it without waiting for the lease to expire.
 *
 *   messages      RELEASE with their receipts, which name the attempt
 *   check-backs   UNASK, which names the attempt: an ask is undone only if it is the newest and unanswered
 *
 * This is best effort. While the journal is full the commands wait (submit.h). Where there is no memory, the leases expire
 * by themselves, and the store asks again later.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_GIVEBACK_H
#define HALFMQ_BROKER_GIVEBACK_H

#include "broker/checks/asks.h"
#include "broker/checks/check_list.h"
#include "broker/net/conn.h"
#include "broker/serve/marks.h"
#include "storage/query.h"

/* Requeues what the entry was granted (a POP, a TAKE or CHECKS); no-op for all others. */
void giveback_entry(struct loop *l, const struct entry *e);

/* Requeues the messages that a POP or TAKE was granted: all, or the rest that `done` leaves. No attempt is used. */
void giveback_messages(struct loop *l, const struct entry *e);
void giveback_rest(struct loop *l, const struct entry *e, const struct granted *done);

/* Requeues those messages of a POP that have these receipts: n of them, each sized. */
void giveback_receipts(struct loop *l, const struct entry *e, const struct buf *sized, uint32_t n);

/* Has the group go on behind the messages that were found damaged when the grants of the entry were read in v (SKIP).
 * True: there were some. */
bool giveback_lost(struct loop *l, const struct entry *e, const struct view *v);

/* Requeues the messages of all marks, and drops the marks. */
void giveback_marks(struct loop *l, struct marks *ms);

/* Undoes all asks of a reply of CHECKS (an array of maps). */
void giveback_checks(struct loop *l, struct slice reply);

/* Undoes all asks that the session was sent and has not answered. */
void giveback_asks(struct conn *c);

/* Undoes one ask. */
void giveback_one_ask(struct loop *l, struct ask ask);

/* Adds an ask to u, and submits u when it is full. After the last one giveback_unask submits the rest. */
void giveback_ask(struct loop *l, struct unask *u, struct ask ask);
void giveback_unask(struct loop *l, struct unask *u);

#endif
