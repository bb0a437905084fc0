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

/* What a kind of stream does. */
struct stream_kind {
    int64_t credit_max;
    void (*pump)(struct stream *s); /* sends, or asks for, what credit and room allow */
    void (*woken)(struct stream *s); /* its waiter was woken */
};

struct stream {
    struct conn *conn; /* NULL: closed; it is freed with its last reference */
    const struct stream_kind *kind;
    struct stream *next; /* of the connection */
    uint64_t id;
    uint32_t refs; /* being open, entries in the journal, marks */
    bool choked; /* the output had no room for more */
    bool answered; /* the client knows the id */
    struct request opening; /* ... who asks for it */
    int64_t credit; /* GROUP: messages; QUEUE: bytes, may fall below 0 */
    struct waiter *wait; /* parked, woken, or (GROUP) running */
    struct timer retry;
    /* GROUP */
    uint32_t takes; /* in the journal ... */
    int64_t asked; /* ... and how many messages they ask for */
    bool flowing; /* the last one brought all it asked for ... */
    uint64_t each; /* ... of so many bytes each */
    /* QUEUE */
    struct reader reader;
    struct command cmd; /* POP or TAKE, or READ: what is submitted and parked; points into mem */
    _Alignas(8) uint8_t mem[];
};

/* It is freed with its last reference. */
static inline void stream_unref(struct stream *s)
{
    assert(s->refs > 0);
    if (--s->refs == 0)
        free(s);
}

#endif
