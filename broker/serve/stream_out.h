/*
 * stream_out.h: parts of records into a connection's output, and what of it was leased (marks).
 *
 *   out  ▒▒▒▒▒▒▒▒│ records t:0:0-99 #1 │ answer │ records t:1:7-9 #2 │
 *         sent   └──────── mark ───────┘        └─────── mark ───────┘
 *
 * A mark is dropped once its bytes are sent. Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_STREAM_OUT_H
#define HALFMQ_BROKER_STREAM_OUT_H

#include "broker/net/conn.h"
#include "storage/query.h"

/* `records` with this part, and its marks. *ret_bytes: of the record. False: the bytes are damaged, or there
 * is no memory (the output has failed). */
bool stream_push(struct stream *s, const struct part *p, size_t *ret_bytes) MUST_CHECK;

/* `stream_end`. */
void stream_push_end(struct stream *s, enum status why, struct slice text);

void marks_sent(struct conn *c);

/* The connection ends: gives back what was not sent. */
void marks_release(struct conn *c);

#endif
