/*
 * channel.h: channels and their subscribers, one set a loop.
 *
 *   topic:<name>    copies: one follower reads what is new, every subscriber gets it (pubsub.c)
 *   check:<pgroup>  check-backs: ONE subscriber gets each, in turn (checkback.c)
 *
 *   news, a timer, a first member  ──► channel pending ──► channels_run ──► its kind's run: pushes, or asks
 *                                            ▲                                  │ there is more
 *                                            └──────────────────────────────────┘
 *
 * A channel exists while it has a subscriber. Nothing is stored for a subscriber except what is in its
 * output buffer. What "run" does is given to channels_init, one function a kind.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CHANNEL_H
#define HALFMQ_BROKER_CHANNEL_H

#include "broker/base/timers.h"
#include "broker/journal/mailbox.h"
#include "protocol/base/hash.h"
#include "storage/query.h"

#define SUBSCRIPTIONS_MAX 1024 /* a connection */

struct conn;
struct loop;
struct members;

enum channel_kind { CHANNEL_TOPIC, CHANNEL_CHECK, CHANNEL_KINDS };

struct channel;

/* Does one portion of the work of a channel. True: there is more. */
typedef bool channel_run(struct channel *ch);

/* The subscriptions of one connection. Zeroed: none. */
struct subscriber {
    struct subscription *first;
    uint32_t n;
};

struct subscription {
    struct channel *channel;
    struct conn *conn;
    struct subscriber *who;
    struct subscription *prev, *next; /* in the channel */
    struct subscription *prev_mine, *next_mine; /* of the connection */
};

struct channel {
    struct hash_node node; /* first, so that a node is its channel; the hash is the key of the news that concerns it */
    struct channels *set;
    enum channel_kind kind;
    struct channel *next_pending;
    bool pending;
    struct subscription *first, *last;
    struct follower follower; /* TOPIC */
    bool midway; /* TOPIC: some have got the next message; `at` has not, nor those behind it */
    struct subscription *at; /* NULL: all have */
    struct timer retry; /* CHECK: pending again then */
    bool pulling; /* CHECK: a CHECKS is under way */
    struct slice subject; /* the topic, or the producer group */
    size_t name_len;
    char name[]; /* "topic:orders" */
};

struct channels {
    struct loop *loop;
    struct members *members;
    channel_run *run[CHANNEL_KINDS];
    struct hash all;
    struct channel *first_pending, *last_pending;
};

void channels_init(struct channels *cs, struct loop *l, struct members *members, channel_run *topic,
                   channel_run *check);
void channels_fini(struct channels *cs); /* nobody is subscribed any more */

/* Reads "topic:orders". ST_ERR: no such kind; ST_BADNAME. */
enum status channel_parse(struct slice name, enum channel_kind *ret_kind, struct slice *ret_subject) MUST_CHECK;

static inline struct slice channel_name(const struct channel *ch)
{
    return slice_of(ch->name, ch->name_len);
}

/* NULL: nobody on this loop has subscribed to it. */
struct channel *channel_find(struct channels *cs, enum channel_kind kind, struct slice subject);

/* Subscribes c (who: its subscriptions). ST_OK also if it has subscribed already. ST_LIMIT, ST_NOMEM. */
enum status channel_join(struct channels *cs, struct conn *c, struct subscriber *who, enum channel_kind kind,
                         struct slice subject) MUST_CHECK;

/* Unsubscribes. No-op without a subscription. The channel is freed with its last subscriber. */
void channel_leave(struct subscriber *who, struct channel *ch);

/* Unsubscribes from every channel without a reply: for RESET, and for a connection that ends. */
void channels_leave(struct subscriber *who);

/* Moves s behind all others, so that it gets the next check-back last. */
void channel_move_to_end(struct channel *ch, struct subscription *s);

/* Makes the channels pending that the news concerns. */
void channels_news(struct channels *cs, const struct news *news);

/* Runs pending channels, each at most once, for a limited time. True: there is more. */
bool channels_run(struct channels *cs);

#endif
