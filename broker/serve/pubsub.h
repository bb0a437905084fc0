/*
 * pubsub.h: SUBSCRIBE and UNSUBSCRIBE, and the copies of a topic's new messages.
 *
 *   news ─► channel pending ─► pubsub_copy ─► out buffers ─► flush ─► again, if more
 *
 * A subscriber that lets more than output_limit pile up is cut (conn_pushed).
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_PUBSUB_H
#define HALFMQ_BROKER_PUBSUB_H

#include "broker/net/conn.h"
#include "broker/serve/channel.h"

/* Answer by themselves, one reply a channel on text connections. */
void pubsub_subscribe(struct conn *c, const struct command *cmd, struct request rq);
void pubsub_unsubscribe(struct conn *c, const struct command *cmd, struct request rq);

/* "message" to one connection, in its dialect. */
void pubsub_push(struct conn *c, const struct channel *ch, struct slice payload);

/* Runs a topic's channel: one portion of its new messages to every subscriber. */
bool pubsub_copy(struct channel *ch);

#endif
