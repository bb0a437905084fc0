/*
 * stream_inner.h: struct stream, for the files that are parts of it (stream*.c) or hold references to it (marks.c,
 * giveback.c).
 */
#ifndef HALFMQ_BROKER_STREAM_INNER_H
#define HALFMQ_BROKER_STREAM_INNER_H

#include <assert.h>
#include <stdlib.h>

#include "broker/base/timers.h"
#include "broker/net/net.h"
#include "storage/query.h"

struct stream;
struct waiter;

#define STREAM_REFUSED_RETRY_MS 1000 /* BUSY, DISKFULL and their like: only time helps */
#define STREAM_LANE_RETRY_MS 200 /* no lane for a large part while connections hold too much memory */

/* What a kind of stream does. */
struct stream_kind {
    int64_t credit_max;
    void (*pump)(struct stream *s); /* sends, or asks for, what credit and room allow */
    void (*woken)(struct stream *s); /* its waiter was woken */
};

struct stream {
    struct conn *conn; /* NULL: closed, but not all references are gone */
    const struct stream_kind *kind;
    struct stream *next; /* of the connection */
    uint64_t id;
    uint32_t refs; /* one for being open, one an entry in the journal, one a mark */
    bool choked; /* its pump stopped because the output had no room */
    bool answered; /* the client was told the id ... */
    struct request opening; /* ... by the reply to this request */
    int64_t credit; /* GROUP: messages; QUEUE: bytes, may fall below 0 */
    struct waiter *wait; /* parked, woken, or (GROUP) running */
    struct timer retry;
    /* GROUP */
    uint32_t takes; /* how many are in the journal ... */
    int64_t asked; /* ... and how many messages they ask for */
    bool sifts; /* the group has a FILTER WHERE: messages are looked at for each TAKE (sieve.h) */
    bool owes; /* it was sent messages of an ORDERED group, and its connection has acknowledged none since */
    bool flowing; /* the last one brought all it asked for ... */
    uint64_t each; /* ... of so many bytes each, about */
    int64_t popped_ms; /* when those were leased that are being sent */
    /* QUEUE */
    struct reader reader;
    struct command cmd; /* POP or TAKE, or READ: copied for what is submitted or parked; points into mem */
    _Alignas(8) uint8_t mem[];
};

/* Gives up a reference; the last one frees it. */
static inline void stream_unref(struct stream *s)
{
    assert(s->refs > 0);
    if (--s->refs == 0)
        free(s);
}

#endif
