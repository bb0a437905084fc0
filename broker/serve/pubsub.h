/*
 * pubsub.h: SUBSCRIBE and UNSUBSCRIBE, and the copies of a topic's new messages.
 *
 *   news ─► channel pending ─► pubsub_copy ─► out buffers ─► flush ─► again, if more
 *
 * A subscriber with more than output_limit unsent is disconnected (conn_pushed).
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_PUBSUB_H
#define HALFMQ_BROKER_PUBSUB_H

#include "broker/net/conn.h"
#include "broker/serve/channel.h"

/* Both send their replies: one a channel on text connections, one in all on others. */
void pubsub_subscribe(struct conn *c, const struct command *cmd, struct request rq);
void pubsub_unsubscribe(struct conn *c, const struct command *cmd, struct request rq);

/* Sends "message" to one connection, in its dialect. */
void pubsub_push(struct conn *c, const struct channel *ch, struct slice payload);

/* Runs a topic's channel: sends one portion of its new messages to every subscriber. True: there is more. */
bool pubsub_copy(struct channel *ch);

/* Unsubscribes from channels that are no longer allowed, and tells the client: by text as if it had unsubscribed, by
 * MessagePack-RPC with a notification. */
void pubsub_revoke(struct conn *c, bool (*allowed)(struct conn *c, struct slice channel));

#endif
