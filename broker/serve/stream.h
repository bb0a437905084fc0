/*
 * stream.h: records pushed to a MessagePack-RPC client as long as it gives credit.
 *
 *   stream_group   POP once, then TAKE after TAKE; what is granted is sent as `records`
 *   stream_queue   a plain reader of a queue
 *
 *   credit, room in the output ──► pump ─┬─ GROUP: TAKE ──► journal ──► granted: records out ─► pump
 *        ▲            ▲                  │                     └─ nothing: parked with the POPs (waiter.h)
 *   stream_credit   flush                └─ QUEUE: view ──► records out ─► at the end: parked with the READs
 *
 * The bytes of a record go from the store's block to the connection's output in one copy and are never
 * decoded (storage/query.h, part). Nothing is leased or read while the output is over OUT_SOFT_MAX.
 *
 * A stream that keeps up has several TAKEs in the journal at once, as many as the output has room for by
 * what the last ones brought; they share a group commit.
 *
 * Leases that still stand in the output when the connection ends never reached anybody: they are given
 * back (marks, stream_out.h). So a stream outlives its connection until its marks and entries are done.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_STREAM_H
#define HALFMQ_BROKER_STREAM_H

#include "broker/serve/stream_out.h"
#include "broker/serve/waiter.h"
#include "storage/query.h"

#define STREAMS_MAX 64 /* a connection */
#define STREAM_MESSAGES_MAX 100000 /* credit of a group's stream */
#define STREAM_BYTES_MAX ((int64_t)MIB(64)) /* ... of a queue's */

struct stream {
    struct conn *conn; /* NULL: closed; it is freed with its last reference */
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

/* A new one that asks as cmd says; the connection's own. NULL: no memory. */
struct stream *stream_new(struct conn *c, const struct command *cmd, int64_t credit);

/* GROUP: its first POP, whose answer answers rq. False: the journal is full. */
bool stream_begin(struct stream *s, struct request rq) MUST_CHECK;

struct stream *stream_find(struct conn *c, uint64_t id); /* NULL: none */

/* At most the bound; what is over it is dropped. */
void stream_add_credit(struct stream *s, int64_t n);

/* No more of it: what is leased stays leased, what is still granted to it is given back. */
void stream_close(struct stream *s);

void stream_unref(struct stream *s);

/* A woken waiter that is a stream's. */
void stream_wake(struct waiter *w);

/* All of a connection: close; send what credit and room allow; close and give back what was not sent. */
void streams_close(struct conn *c);
void streams_pump(struct conn *c);
void streams_drop(struct conn *c);

/* True where one was choked and need not be any more. */
bool streams_have_room(const struct conn *c);

#endif
