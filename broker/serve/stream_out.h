/*
 * stream_out.h: what a stream says: parts of records, and its end. What of it was leased is marked (marks.h).
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_STREAM_OUT_H
#define HALFMQ_BROKER_STREAM_OUT_H

#include "broker/serve/stream_inner.h"

/* `records` with this part, and its marks. *ret_bytes: of the record. False: the bytes are damaged, or there
 * is no memory (the output has failed). */
bool stream_push(struct stream *s, const struct part *p, size_t *ret_bytes) MUST_CHECK;

/* `stream_end`. */
void stream_push_end(struct stream *s, enum status why, struct slice text);

#endif
