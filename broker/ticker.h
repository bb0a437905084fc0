/*
 * ticker.h: has a TICK submitted when something stored falls due (a lease, a check-back, a retry).
 *
 * With each group the journal tells when the next thing is due; the ticker sleeps until then, on the main thread. So
 * a TICK is never early, it is late by about a millisecond and its way through the loop, and an idle broker
 * submits none.
 */
#ifndef HALFMQ_BROKER_TICKER_H
#define HALFMQ_BROKER_TICKER_H

#include <event2/event.h>


struct server;
struct ticker;

/* Registers with the journal: before anything is submitted. NULL: no memory. */
struct ticker *ticker_new(struct server *s, struct event_base *base);

/* Begins to tick. The loops must have been started. Main thread. */
void ticker_start(struct ticker *t);

/* No more ticks. The journal may still call the ticker with news until the journal is freed. */
void ticker_stop(struct ticker *t);

void ticker_free(struct ticker *t); /* after the journal; NULL is fine */

#endif
