/*
 * reclaim.h: a thread that has the store give disk space of deleted messages back (store_give_back).
 *
 * While there is room it does so some seconds after a deletion, so that many deletions cost one round; while the disk
 * is full, or nearly so, at once. Every ten seconds it looks for rows that are over by their own time.
 */
#ifndef HALFMQ_BROKER_RECLAIM_H
#define HALFMQ_BROKER_RECLAIM_H

struct reclaim;
struct server;

/* The store and the journal are there. NULL: no memory or no thread. */
struct reclaim *reclaim_new(struct server *s);

/* Ends a round that is under way. Before the journal and the store are freed. NULL is fine. */
void reclaim_free(struct reclaim *r);

#endif
