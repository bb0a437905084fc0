/*
 * stream_queue.h: a stream that reads a queue without a group.
 */
#ifndef HALFMQ_BROKER_STREAM_QUEUE_H
#define HALFMQ_BROKER_STREAM_QUEUE_H

#include "broker/net/conn.h"
#include "storage/query.h"

/* Opens one that reads on from where reader stands. *ret_id: its id. False: no memory. */
bool stream_queue_open(struct conn *c, const struct command *read, int64_t credit, const struct reader *reader,
                       uint64_t *ret_id) MUST_CHECK;

#endif
