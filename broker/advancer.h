/*
 * advancer.h: a thread by which groups with a FILTER go on while nobody asks for their messages: it looks at messages in a
 * view (advance_step, storage/query.h) and submits an ADVANCE for each group that can pass some.
 *
 *   news (any thread): how many messages came, by key ──► NEWS_SLOTS counters ──► one is full: wake the thread
 *   the thread:        a round over the groups whose topics have full counters ──► ADVANCE, one at a time, through a loop
 *
 * It takes no time from others: it runs at nice 19, works for some milliseconds and then rests ten times as long, and
 * submits nothing before the last ADVANCE is done. It leaves a group alone while POPs say that they leave much of it: somebody
 * consumes it. A loop leads its commands, never this thread: who leads makes others
 * wait. Where nothing comes in it sleeps, however many groups there are; and so it does where no group has a FILTER.
 *
 * A counter is shared by all keys with the same hash, so a round may look at a group for nothing, and never misses one. The
 * first round after the start looks at all groups.
 */
#ifndef HALFMQ_BROKER_ADVANCER_H
#define HALFMQ_BROKER_ADVANCER_H

#include <stdbool.h>

struct advancer;
struct server;

/* Registers with the journal: before anything is submitted. NULL: no memory. */
struct advancer *advancer_new(struct server *s);

/* The loops must have been started. False: no thread. */
bool advancer_start(struct advancer *a);

/* Ends the thread. Before the journal is freed, which may still call it. NULL is fine. */
void advancer_stop(struct advancer *a);

void advancer_free(struct advancer *a); /* after the journal; NULL is fine */

#endif
