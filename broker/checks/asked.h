/*
 * asked.h: makes the object of a check-back of a long transaction, for which CHECKS answers a note: from a view, some messages a
 * step, so that nobody is kept waiting however large the transaction is.
 *
 *   asked_begin ──► LOOK: reads all messages ──► PUT: reads them again, and appends them ──► done
 *                   appends nothing               as tokens, or as JSON text
 *
 * The first pass finds out whether everything can be read, and how long the text will be: a reply that has begun cannot be
 * taken back, and a text is announced with its length. The view is the same in both, so they see the same bytes. What was
 * appended may be taken out between two steps.
 *
 * Threads: the caller's, whose view it is.
 */
#ifndef HALFMQ_BROKER_ASKED_H
#define HALFMQ_BROKER_ASKED_H

#include "broker/checks/asks.h"
#include "storage/query.h"

struct asked {
    struct ask ask;
    bool json;
    bool put;  /* PUT */
    bool open; /* the head was read, in this pass */
    struct check_reader reader;
    uint64_t length; /* of the text; bytes */
};

void asked_begin(struct asked *a, struct ask ask, bool json);

/* The next step. ST_BUSY: there is more; ST_OK: the object is complete; out->failed is the caller's to look at.
 * ST_GONE: the transaction was decided meanwhile. ST_DAMAGED, which was told: it cannot be read, now or later. ST_IO,
 * ST_NOMEM. In LOOK, which ends with a step of its own, nothing is appended. */
enum status asked_step(struct asked *a, struct view *v, struct buf *out) MUST_CHECK;

/* All steps of an object of tokens at once, for who can wait. */
enum status asked_all(struct ask ask, struct view *v, struct buf *out) MUST_CHECK;

/* Is the next step the first one that appends? Then a->length is known. */
static inline bool asked_is_known(const struct asked *a)
{
    return a->put && !a->open;
}

#endif
