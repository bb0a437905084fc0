/*
 * stream_group.h: a stream that takes the messages of a consumer group.
 */
#ifndef HALFMQ_BROKER_STREAM_GROUP_H
#define HALFMQ_BROKER_STREAM_GROUP_H

#include "broker/net/conn.h"

/* Opens one that asks as pop says, and submits it; the reply to rq is the stream's id. False: no memory, or the journal
 * is full; there is no stream then. */
bool stream_group_open(struct conn *c, const struct command *pop, int64_t credit, struct request rq) MUST_CHECK;

#endif
