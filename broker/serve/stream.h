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

#include "broker/net/conn.h"
#include "storage/query.h"

#define STREAMS_MAX 64 /* a connection */
#define STREAM_MESSAGES_MAX 100000 /* credit of a group's stream */
#define STREAM_BYTES_MAX ((int64_t)MIB(64)) /* ... of a queue's */

struct stream;

/* GROUP: opens one that asks as the POP says, and submits it; its answer answers rq with the stream's id. False: no
 * memory, or the journal is full; there is no stream. */
bool stream_open_group(struct conn *c, const struct command *pop, int64_t credit, struct request rq) MUST_CHECK;

/* QUEUE: opens one that reads on from where reader stands. *ret_id: its id. False: no memory. */
bool stream_open_queue(struct conn *c, const struct command *read, int64_t credit, const struct reader *reader,
                       uint64_t *ret_id) MUST_CHECK;

/* Has it credit in bytes? */
bool stream_is_queue(const struct stream *s);

struct stream *stream_find(struct conn *c, uint64_t id); /* NULL: none */

/* At most the bound; what is over it is dropped. */
void stream_add_credit(struct stream *s, int64_t n);

/* No more of it: what is leased stays leased, what is still granted to it is given back. */
void stream_close(struct stream *s);

/* All of a connection: close; send what credit and room allow. */
void streams_close(struct conn *c);
void streams_pump(struct conn *c);

/* True where one was choked and need not be any more. */
bool streams_have_room(const struct conn *c);

#endif
