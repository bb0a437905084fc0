/*
 * stream.h: a stream pushes records to a MessagePack-RPC client as long as the client has given credit.
 *
 *   stream_group.c   POP once, then TAKE after TAKE; what is granted is sent as `records`
 *   stream_queue.c   a plain reader of a queue
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
 * When the connection ends, leased messages that are still in its output have reached nobody, and are requeued
 * (marks.h). So a stream outlives its connection until its last mark and its last entry are gone.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_STREAM_H
#define HALFMQ_BROKER_STREAM_H

#include "broker/net/conn.h"
#include "broker/serve/stream_inner.h"

#define STREAMS_MAX 64 /* a connection */
#define STREAM_MESSAGES_MAX 100000 /* credit of a group's stream */
#define STREAM_BYTES_MAX ((int64_t)MIB(64)) /* ... of a queue's */

/* The most credit that it may have. */
int64_t stream_credit_max(const struct stream *s);

struct stream *stream_find(struct conn *c, uint64_t id); /* NULL: none */

/* Adds credit, up to stream_credit_max; what is over that is dropped. */
void stream_add_credit(struct stream *s, int64_t n);

/* Closes it. What the client was sent stays leased to it; what is granted by entries under way is requeued. */
void stream_close(struct stream *s);

/* For all streams of a connection: close them; send what credit and room allow. */
void streams_close(struct conn *c);
void streams_pump(struct conn *c);

/* An ACK came on the connection: none of its streams owes one any more. */
void streams_acked(struct conn *c);

/* True where a stream had to stop for want of room, and there is room now. */
bool streams_have_room(const struct conn *c);

/* ---- for the kinds of streams (stream_group.c, stream_queue.c) ---- */

/* A new one of the connection, which asks as cmd says. NULL: no memory. */
struct stream *stream_new(struct conn *c, const struct stream_kind *kind, const struct command *cmd, int64_t credit);

/* Says whether it owes an ACK, for which the loop may wait a moment (broker/net/gather.h). */
void stream_owes(struct stream *s, bool owes);

/* Ends it, and tells the client why: by the reply to the request that opened it while the client does not know its id
 * yet, else by `stream_end`. */
void stream_end(struct stream *s, enum status why, const char *text);

/* Pumps it again after so long. Without memory for the timer the stream ends. */
void stream_retry_later(struct stream *s, int64_t delay_ms);

/* Parks it with e, which becomes the waiter's. key: of what it reads, where it is a queue's; retry_ms: as for
 * waiter_park. False: no memory; the entry stays the caller's. */
bool stream_park(struct stream *s, struct entry *e, uint64_t key, int64_t retry_ms) MUST_CHECK;

/* Is there room in the output? Remembers it where there is none. While connections hold too much memory there is a
 * little, for a client that reads (stream_room_is_small); a part that is larger than that needs a reply lane. */
bool stream_has_room(struct stream *s);
bool stream_room_is_small(const struct conn *c);
bool stream_has_room_for(struct stream *s, size_t part_bytes);

/* Limits the parts that a view gives to what the output has room for. */
void stream_limit_parts(const struct stream *s, struct view *v);

/* True where the output ran out of memory: the connection is cut then, as the client has lost some of it. */
bool stream_output_failed(struct conn *c);

#endif
