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

#include "storage/model/topic.h"

/* Answers why topic_need failed. */
void enqueue_refuse(struct outcome *out, enum status s, struct slice topic);

/* The message of a command, born now; props live in st->props. Not ST_OK: answered. */
enum status enqueue_prepare(struct state *st, const struct stamp *stamp, const struct command *cmd,
                            struct slice body, struct message *ret_m,
                            struct outcome *out) MUST_CHECK;

/* *ret_wanted is ret_queue where QUEUE was given, else NULL. False: it does not exist; answered. t NULL:
 * the topic is still to be made. */
bool enqueue_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
                      const uint32_t **ret_wanted, struct outcome *out);

/* When it is to become visible, by DELAY and AT; not after now: at once. False: too far ahead; answered. */
bool enqueue_due(const struct stamp *stamp, const struct command *cmd, int64_t *ret_due_ms, struct outcome *out);

/* The first answer to the command's DEDUP id (NULL: none given); true where it has been answered. */
bool enqueue_again(struct state *st, const struct stamp *stamp, const struct topic *t,
                   const struct option *dedup, struct outcome *out);

/* When a message's TTL (-1: none) is over that began at from_ms; INT64_MAX: never. */
int64_t enqueue_expires(int64_t from_ms, int64_t ttl_ms);

/* A message becomes visible now, until expires_ms: it is routed (queue NULL: by ORDER, or in turn) and
 * appended. Fails as tail_append does. */
enum status enqueue_store(struct state *st, const struct stamp *stamp, struct topic *t, int64_t expires_ms,
                          const uint32_t *queue, struct message *m, uint32_t *ret_queue,
                          uint64_t *ret_offset) MUST_CHECK;

/* Makes the topic where *t is NULL: when nothing else can be refused any more. False: answered. */
bool enqueue_topic(struct state *st, const struct stamp *stamp, struct slice name, struct topic **t,
                   struct outcome *out);

#endif
