/*
 * pubsub.h: channels and who stands in them, one set a loop.
 *
 *   topic:<name>    copies: one follower reads what is new, every subscriber gets it
 *   check:<pgroup>  check-backs: ONE subscriber gets each, in turn (checkback.h does the pulling);
 *                   MessagePack-RPC clients join it with checks_serve
 *
 *   news ─► pubsub_news ─► channel pending ─► pubsub_run ─► out buffers ─► flush ─► again, if more
 *
 * A channel exists while somebody stands in it. Nothing is kept for a subscriber but what is in its
 * output buffer; one that lets more than output_limit pile up is cut.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_PUBSUB_H
#define HALFMQ_BROKER_PUBSUB_H

#include "broker/net/conn.h"
#include "broker/journal/mailbox.h"
#include "storage/query.h"

#define SUBSCRIPTIONS_MAX 1024 /* a connection */
#define CHANNEL_BUCKETS 256

enum channel_kind { CHANNEL_TOPIC, CHANNEL_CHECK };

struct channel;

struct subscription {
    struct channel *channel;
    struct conn *conn;
    struct subscription *prev, *next; /* in the channel */
    struct subscription *prev_mine, *next_mine; /* of the connection */
};

struct channel {
    struct loop *loop;
    enum channel_kind kind;
    uint64_t key; /* the news that concerns it */
    struct channel *next; /* in its bucket */
    struct channel *next_pending;
    bool pending;
    struct subscription *first, *last;
    struct follower follower; /* TOPIC */
    struct timer retry; /* CHECK: pull again then */
    bool pulling; /* CHECK: a CHECKS is under way */
    struct slice subject; /* the topic, or the producer group */
    size_t name_len;
    char name[]; /* "topic:orders" */
};

struct pubsub {
    struct channel *buckets[CHANNEL_BUCKETS];
    uint32_t n_channels;
    struct channel *first_pending, *last_pending;
};

/* SUBSCRIBE and UNSUBSCRIBE: answer by themselves, one reply a channel on text connections. */
void pubsub_subscribe(struct conn *c, const struct command *cmd, struct request rq);
void pubsub_unsubscribe(struct conn *c, const struct command *cmd, struct request rq);

/* checks_serve. */
enum status pubsub_serve(struct conn *c, struct slice pgroup) MUST_CHECK;

/* Out of every channel, silently: RESET, and a connection that ends. */
void pubsub_leave(struct conn *c);

void pubsub_news(struct loop *l, const struct news *news);

/* One portion for each pending channel. True: there is more. */
bool pubsub_run(struct loop *l);

struct channel *pubsub_find_check(struct loop *l, struct slice pgroup); /* NULL: no taker here */

/* "message" to one connection, in its dialect. */
void pubsub_push(struct conn *c, const struct channel *ch, struct slice payload);

#endif
