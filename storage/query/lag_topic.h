/*
 * lag_topic.h: what lags need to know of topics, remembered from one group to the next (lag.h): the ends of queues, how
 * old a message is, and how many have expired.
 *
 *   topics   the last LAG_TOPICS_MAX of them ── queues ── first, end, the place asked for last, what expired from an
 *                                                         offset on
 */
#ifndef HALFMQ_STORAGE_LAG_TOPIC_H
#define HALFMQ_STORAGE_LAG_TOPIC_H

#include "storage/disk/directory.h"
#include "storage/query/base/view.h"

#define LAG_TOPICS_MAX 16
#define LAG_QUEUES_MAX (4 * QUEUES_MAX) /* of all topics that are remembered */

/* How many messages from an offset on have expired, as far as `at`. */
struct lag_expiry {
    uint64_t from, at, expired;
    int64_t oldest_ms; /* stored time of the first that has not; INT64_MAX: none yet */
};

struct lag_queue {
    uint64_t first, end;
    uint64_t base, count;   /* the record that was asked for last; count 0: none */
    int64_t stored_ms;      /* of it */
    int64_t first_stored_ms; /* of the queue's first record; INT64_MIN: not looked at */
    struct lag_expiry ttl;  /* the last one that was complete */
};

struct lag_topic {
    uint8_t name[SYSTEM_NAME_BYTES_MAX];
    size_t name_len;
    uint64_t id, purges;
    enum compress compress;
    uint32_t flags, n_queues, queues_at;
    uint16_t classes;
};

/* All of it. Zeroed, it remembers nothing. */
struct lag_topics {
    struct lag_topic topics[LAG_TOPICS_MAX];
    uint32_t n_topics, n_queues;
    struct directory d;      /* while a step lasts; it == NULL: not open */
    struct kv_iter *expiries; /* rows E of all topics, while a step lasts, or NULL */
    struct kv_iter *classes;  /* rows F, the same */
    struct buf columns_row, wanted; /* of the record at work, while a step lasts */
    struct columns_maker maker;
    struct lag_queue queues[LAG_QUEUES_MAX];
};

/* Gets a zeroed one ready. */
void lag_topics_init(struct lag_topics *ts);

/* Closes its iterators, and frees its buffers, at the end of a step. */
void lag_topics_pause(struct lag_topics *ts);

/* What is known of a topic; *ret_t is good until the next call. ST_GONE: there is no such topic. */
enum status lag_topic(struct view *v, struct lag_topics *ts, struct slice name, struct lag_topic **ret_t) MUST_CHECK;

static inline struct lag_queue *lag_queue_of(struct lag_topics *ts, const struct lag_topic *t, uint32_t queue)
{
    return &ts->queues[t->queues_at + queue];
}

/* How many messages a topic has that nobody asks about twice: it is not remembered. 0 where there is no such topic. */
enum status lag_topic_messages(struct view *v, struct lag_topics *ts, struct slice name, uint64_t *ret_n) MUST_CHECK;

/* When the message at offset was stored; if that is not before `unless`, the answer may be INT64_MAX instead. ST_GONE:
 * there is no such message. */
enum status lag_stored(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t offset,
                       int64_t unless, int64_t *ret_ms) MUST_CHECK;

/* Counts expired messages from e->at on, until the end of the queue (ST_OK), or until the budget ends (ST_BUSY). */
enum status lag_expired(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                        struct lag_expiry *e) MUST_CHECK;

/* Finds the record that holds an offset, which the queue has, or the first one behind it. ST_GONE: there is none. */
enum status lag_record(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t offset,
                       struct record_info *ret_info) MUST_CHECK;

/* The columns of a record that was found, until this is called again. Where neither its row nor the record can be read:
 * those of messages that have nothing. */
enum status lag_columns(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                        const struct record_info *info, struct columns *ret_c) MUST_CHECK;

/* An iterator over rows F, which stays with ts. NULL: no memory. */
struct kv_iter *lag_classes(struct view *v, struct lag_topics *ts);

/* Counts those messages of from..to-1 whose bit is set that have expired, by their rows E; bits begin at from. *ret_first:
 * the first one that has not; to: there is none. */
enum status lag_expired_of(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t from,
                           uint64_t to, const uint64_t *bits, uint64_t *ret_n, uint64_t *ret_first) MUST_CHECK;

/* Counts the live messages of a run that have not expired. *ret_first: the first of them. */
enum status lag_live(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t base,
                     const struct run_row *run, uint64_t *ret_n, uint64_t *ret_first) MUST_CHECK;

#endif
