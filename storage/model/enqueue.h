/*
 * enqueue.h: what SEND, HALF, COMMIT and a delayed message that falls due have in common.
 *
 *   SEND   DEDUP id known? ─► QUEUE and time possible? ─► message ─► topic, made if need be ─► log, or delayed
 *   HALF   the same without the last step, which COMMIT does
 *
 * Everything that can refuse the message is checked before the topic is made.
 */
#ifndef HALFMQ_STORAGE_ENQUEUE_H
#define HALFMQ_STORAGE_ENQUEUE_H

#include "storage/model/tail.h"

/* Answers why topic_need failed. */
void enqueue_refuse(struct outcome *out, enum status s, struct slice topic);

/* A message that a command brings, after everything was checked. Only making its topic can still fail. */
struct arrival {
    struct topic *topic;        /* NULL: still to be made */
    const struct option *dedup; /* NULL: none given */
    const uint32_t *wanted;     /* &queue where QUEUE was given, else NULL */
    uint32_t queue;
    int64_t due_ms; /* when it is to become visible; not after now: at once */
    struct message m;
};

/* Checks the message of a SEND or a HALF: its topic, DEDUP, QUEUE, DELAY and AT, and attributes. False: it is
 * refused, or its DEDUP id is known; that is answered. *ret_a points into itself: do not copy it. */
bool enqueue_accept(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                    struct slice body, struct arrival *ret_a, struct outcome *out);

/* True where the command is a SEND or a HALF whose DEDUP id is known: its first answer, or an error, was given. Nothing
 * is changed. */
bool enqueue_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                      struct outcome *out);

/* Checks QUEUE. *ret_wanted is ret_queue where it was given, else NULL. False: the topic has no such queue, which is
 * answered. t NULL: the topic is still to be made. */
bool enqueue_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
                      const uint32_t **ret_wanted, struct outcome *out);

/* When a message expires whose TTL (-1: none) began at from_ms; INT64_MAX: never. */
static inline int64_t enqueue_expires(int64_t from_ms, int64_t ttl_ms)
{
    return ttl_ms < 0 ? INT64_MAX : from_ms + ttl_ms;
}

/* Makes a message visible now, until expires_ms: picks its queue (queue NULL: by ORDER, or in turn) and appends it.
 * Fails as tail_append does. */
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

/* Makes the topic where *t is NULL. Call it last, when nothing else can refuse the command. False: it failed, and is
 * answered. */
bool enqueue_topic(struct state *st, const struct stamp *stamp, struct slice name, struct topic **t,
                   struct outcome *out);

#endif
