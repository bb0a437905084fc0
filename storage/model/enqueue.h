/*
 * enqueue.h: what all that brings a message does alike: SEND, HALF, COMMIT, and a delayed message that falls due.
 *
 *   SEND   DEDUP id known? ─► QUEUE and time possible? ─► message ─► topic, made if need be ─► log, or delayed
 *   HALF   the same without the last step, which is COMMIT's
 *
 * A function that answers a refusal says so; whatever can refuse is asked before the topic is made.
 */
#ifndef HALFMQ_STORAGE_ENQUEUE_H
#define HALFMQ_STORAGE_ENQUEUE_H

#include "storage/model/tail.h"

/* Answers why topic_need failed. */
void enqueue_refuse(struct outcome *out, enum status s, struct slice topic);

/* A message that a command brings, when all that can refuse it was asked, but for making its topic. */
struct arrival {
    struct topic *topic;        /* NULL: still to be made */
    const struct option *dedup; /* NULL: none given */
    const uint32_t *wanted;     /* &queue where QUEUE was given, else NULL */
    uint32_t queue;
    int64_t due_ms; /* when it is to become visible; not after now: at once */
    struct message m;
};

/* Accepts the message of a SEND or a HALF: its topic, DEDUP, QUEUE, DELAY and AT, attributes. False: it is refused, or
 * its DEDUP id is known, and that is answered. *ret_a must not be copied. */
bool enqueue_accept(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                    struct slice body, struct arrival *ret_a, struct outcome *out);

/* *ret_wanted is ret_queue where QUEUE was given, else NULL. False: it does not exist; answered. t NULL:
 * the topic is still to be made. */
bool enqueue_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
                      const uint32_t **ret_wanted, struct outcome *out);

/* When a message's TTL (-1: none) is over that began at from_ms; INT64_MAX: never. */
static inline int64_t enqueue_expires(int64_t from_ms, int64_t ttl_ms)
{
    return ttl_ms < 0 ? INT64_MAX : from_ms + ttl_ms;
}

/* A message becomes visible now, until expires_ms: it is routed (queue NULL: by ORDER, or in turn) and
 * appended. Fails as tail_append does. */
static inline MUST_CHECK enum status enqueue_store(struct state *st, const struct stamp *stamp, struct topic *t,
                                                   int64_t expires_ms, const uint32_t *queue, struct message *m,
                                                   uint32_t *ret_queue, uint64_t *ret_offset)
{
    if (expires_ms != INT64_MAX) {
        m->fields |= MSG_TTL;
        m->expires_ms = expires_ms;
    }
    *ret_queue = topic_route(t, m, queue);
    return tail_append(st, stamp->now_ms, t, *ret_queue, m, ret_offset);
}

/* Makes the topic where *t is NULL: when nothing else can be refused any more. False: answered. */
bool enqueue_topic(struct state *st, const struct stamp *stamp, struct slice name, struct topic **t,
                   struct outcome *out);

#endif
