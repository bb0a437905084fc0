/*
 * sieve.h: POPs of groups with a FILTER WHERE: looks at the messages for them, step by step (storage/sift.h, sifter in
 * storage/query.h).
 *
 *   entry comes back, out.sift ──► sieve_begin ──► queue ──► steps, one a turn ──► submitted again, with what was found
 *
 * While an entry is here it is as if the journal had it: it comes back through its `done`. A step takes about a
 * millisecond, and there is one in a turn of the loop, so nobody else waits for a filter that looks at a million messages.
 *
 * One entry is at work at a time, so that memory for its filter is needed once. It has SIFT_MESSAGES_MAX messages looked
 * at and goes, so the others wait for some milliseconds. Bounds: an entry is here only once, so there are no more than
 * requests in flight and parked.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_SIEVE_H
#define HALFMQ_BROKER_SIEVE_H

#include "broker/net/conn.h"

/* Looks at messages for e, which is not the caller's any more. Its slot and generation are those of its connection.
 * False: no memory, and it is as it was. */
bool sieve_begin(struct loop *l, struct entry *e) MUST_CHECK;

/* Does the next step. True: there is more. */
bool sieve_run(struct loop *l);

/* Hands back what is there, not done. */
void sieve_fini(struct loop *l);

#endif
