/*
 * stream_out.h: writes the notifications of a stream into the output, and marks what of it is leased (marks.h).
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_STREAM_OUT_H
#define HALFMQ_BROKER_STREAM_OUT_H

#include "broker/serve/stream_inner.h"

/* Appends `records` with this part, and its marks. *ret_bytes: the size of the record. False: the stored bytes are
 * damaged (the output is as before), or memory ran out (the output has failed). */
bool stream_push(struct stream *s, const struct part *p, size_t *ret_bytes) MUST_CHECK;

/* Appends `stream_end`. */
void stream_push_end(struct stream *s, enum status why, struct slice text);

#endif
