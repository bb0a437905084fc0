/*
 * group.h: a consumer group on one topic ("gt"): its cursors, its runs, its settings and its timer.
 *
 *   per queue   floor ≤ ... next ≤ end        `next` was never delivered; below it: acknowledged, or in a run
 *   timer       one row in the timer index a gt, at or before the first lease that ends or the first
 *               waiting message that comes due: it may fire early and find nothing, never late
 *
 * All of it is loaded at first touch and written with the group that changed it.
 */
#ifndef HALFMQ_STORAGE_GROUP_H
#define HALFMQ_STORAGE_GROUP_H

#include "storage/model/run.h"
#include "storage/model/topic.h"

struct gtq {
    uint64_t next;
};

struct gt {
    struct hash_node node; /* first, so that a node is its gt; by the key */
    struct slice key; /* owned: group 0 topic */
    struct slice group;
    uint64_t id;
    struct topic *topic;
    int64_t created_ms, lease_ms, timer_ms;
    uint32_t attempts, n_backoff;
    uint32_t attempt_base; /* its attempt numbers begin behind this ... */
    uint32_t attempt_top;  /* ... and have come so far */
    int64_t backoff_ms[BACKOFF_STEPS_MAX];
    struct gtq *queues;
    uint32_t n_queues;
    struct runs runs;
    bool dirty;
    bool gone; /* deleted in the open commit group, and on the list of those that it changed */
    struct gt *dirty_next;
    struct news_slot news;
};

struct group_settings {
    int64_t lease_ms;
    uint32_t attempts, n_backoff;
    int64_t backoff_ms[BACKOFF_STEPS_MAX];
    int64_t from; /* POINT_EARLIEST, POINT_LATEST or a time */
};

/* How often the messages of a run were delivered, as far as its attempt number counts that: for ATTEMPTS and BACKOFF. */
static inline uint32_t group_deliveries(const struct gt *gt, uint32_t attempt)
{
    return attempt > gt->attempt_base ? attempt - gt->attempt_base : 0;
}

/* ST_GONE: no such group on that topic. */
enum status group_get(struct state *st, struct slice group, struct slice topic, struct gt **ret_gt) MUST_CHECK;

/* ST_LIMIT, ST_NOMEM, ST_IO. The pair must not exist yet. */
enum status group_create(struct state *st, int64_t now_ms, struct slice group, struct topic *t,
                      const struct group_settings *set, struct gt **ret_gt) MUST_CHECK;

void group_settings_default(struct group_settings *set);

/* *ret_exists: whether the group exists on any topic. */
enum status group_exists(struct state *st, struct slice group, bool *ret_exists) MUST_CHECK;

/* Deletes the group on every topic, but not its dead letters. ST_GONE: there was none. */
enum status group_delete(struct state *st, struct slice group) MUST_CHECK;

/* Deletes every group on a topic, or, with reset, moves its cursors to the end. Not ST_OK: unchanged. */
enum status group_leave_topic(struct state *st, struct topic *t, bool reset) MUST_CHECK;

/* Marks gt as changed: its cursor row and its changed runs are written with the commit group. */
void group_dirty(struct state *st, struct gt *gt);

/* Makes sure that the timer fires at or before the first lease that ends and the first message that comes due. */
void group_arm(struct state *st, struct gt *gt, int64_t now_ms);

/* Puts the rows of all changed gts into the batch. */
void group_flush(struct state *st);

/* Frees all of them. */
void groups_free(struct state *st);

#endif
