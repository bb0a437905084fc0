/*
 * ticker.h: has a TICK submitted when something stored falls due (a lease, a check-back, a retry).
 *
 * The journal tells with each group when the next thing is due; the ticker sleeps until then, on the
 * main thread. So it is never early, late by no more than the timer's millisecond and the way through
 * the loop, and costs nothing while nothing is due.
 */
#ifndef HALFMQ_BROKER_TICKER_H
#define HALFMQ_BROKER_TICKER_H

#include <event2/event.h>


struct server;
struct ticker;

/* Registers with the journal: before anything is submitted. NULL: no memory. */
struct ticker *ticker_new(struct server *s, struct event_base *base);

/* Begins to tick; the loops are there. Main thread. */
void ticker_start(struct ticker *t);

/* No more ticks. The journal may still bring news until it is freed. */
void ticker_stop(struct ticker *t);

void ticker_free(struct ticker *t); /* after the journal; NULL is fine */

#endif
