/*
 * giveback.h: what was granted to somebody who is not there to take it goes back at once, so that another gets it
 * and nobody waits for a lease to run out.
 *
 *   messages      RELEASE with their receipts, attempt number and all
 *   check-backs   UNASK, which names the attempt: only the newest ask, unanswered, is undone
 *
 * All of it is as good as can be had: where there is no memory or no room in the journal, the leases end by
 * themselves, and check-backs are asked again.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_GIVEBACK_H
#define HALFMQ_BROKER_GIVEBACK_H

#include "broker/checks/asks.h"
#include "broker/checks/check_list.h"
#include "broker/net/conn.h"
#include "broker/serve/marks.h"

/* An entry that came back for a caller who has gone: gives back what it was granted, if anything. */
void giveback_entry(struct loop *l, const struct entry *e);

/* What a POP or TAKE was granted. */
void giveback_messages(struct loop *l, const struct entry *e);

/* The leases of all marks, which are dropped. */
void giveback_marks(struct loop *l, struct marks *ms);

/* The answer of CHECKS, an array of maps: nobody takes them. */
void giveback_checks(struct loop *l, struct slice reply);

/* What the session was asked and has not answered. */
void giveback_asks(struct conn *c);

/* One ask more for the UNASK that is being gathered; submits it when it is full. giveback_unask: submits the rest. */
void giveback_ask(struct loop *l, struct unask *u, struct ask ask);
void giveback_unask(struct loop *l, struct unask *u);

#endif
