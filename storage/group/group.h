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

#include "storage/group/cgroup.h"
#include "storage/order/lanes.h"
#include "storage/group/run.h"
#include "storage/model/topic.h"

struct order;

struct gtq {
    uint64_t next;
    uint64_t again;      /* messages below it may have been delivered before the last SEEK ... */
    uint32_t again_base; /* ... under attempt numbers up to this one */
};

struct gt {
    struct hash_node node; /* first, so that a node is its gt; by the key */
    struct slice key; /* owned: group 0 topic */
    struct slice group;
    uint64_t id;
    struct topic *topic;   /* both are in memory as long as this is; NULL once it is gone */
    struct cgroup *cgroup;
    uint64_t purges; /* of the topic, when this was last looked at, ... */
    uint64_t cuts;   /* ... and its cuts */
    struct lru_node lru;
    int64_t created_ms, lease_ms, timer_ms;
    uint32_t attempts, n_backoff;
    uint32_t attempt_base; /* its attempt numbers begin behind this ... */
    uint32_t attempt_top;  /* ... and have come so far */
    int64_t backoff_ms[BACKOFF_STEPS_MAX];
    uint32_t flags; /* enum group_flag */
    uint32_t rate, inflight;
    int64_t rate_ms; /* when RATE was set */
    bool sought;     /* some queue has `again` */
    uint64_t pause_ref, filter_ref;
    enum filter_kind filter_kind;
    struct slice filter;  /* owned */
    int64_t rate_free_us; /* when RATE lets the next message go */
    uint64_t leased_stored; /* messages that were leased when its cursor row was written (group_tell_room) */
    struct gtq *queues;
    uint32_t n_queues;
    struct runs runs;
    struct order *order; /* what it knows of ORDER keys (order.h); NULL: it is not ordered */
    struct class_lanes *lanes; /* cursors for classes of priority; NULL: not read, or there are none (ranked.h) */
    bool dirty;
    bool gone; /* deleted in the open commit group, and on the list of those that it changed */
    struct gt *dirty_next;
    struct gt *born_next; /* of those that the open commit group has made on the topic */
    struct news_slot news;
};

struct group_settings {
    int64_t lease_ms;
    uint32_t attempts, n_backoff;
    int64_t backoff_ms[BACKOFF_STEPS_MAX];
    bool ordered;
    uint32_t rate, inflight;
    enum filter_kind filter_kind;
    struct slice filter; /* borrowed */
    int64_t from; /* POINT_EARLIEST, POINT_LATEST or a time */
};

/* The attempt numbers of a message that was never delivered, or not since the last SEEK, begin behind this. */
static inline uint32_t group_attempt_base(const struct gt *gt, uint32_t queue, uint64_t offset)
{
    return offset < gt->queues[queue].again ? gt->queues[queue].again_base : gt->attempt_base;
}

#define RETRY_PREFIX SLICE_LIT("%RETRY%")

/* Is its topic that of messages which were redriven to a group (retry.h)? */
static inline bool group_is_redriven(const struct gt *gt)
{
    struct slice name = gt->topic->name;
    return name.len > RETRY_PREFIX.len && memcmp(name.data, RETRY_PREFIX.data, RETRY_PREFIX.len) == 0;
}

/* How many more messages INFLIGHT lets be leased. */
static inline uint64_t group_inflight_room(const struct gt *gt)
{
    if (!gt->inflight)
        return UINT64_MAX;
    return gt->runs.n_leased < gt->inflight ? gt->inflight - gt->runs.n_leased : 0;
}

/* ST_GONE: no such group on that topic. */
enum status group_get(struct state *st, struct slice group, struct slice topic, struct gt **ret_gt) MUST_CHECK;

/* ST_LIMIT, ST_NOMEM, ST_IO. The pair must not exist yet. */
enum status group_create(struct state *st, int64_t now_ms, struct slice group, struct topic *t,
                      const struct group_settings *set, struct gt **ret_gt) MUST_CHECK;

void group_settings_default(struct group_settings *set);

/* *ret_exists: whether the group exists on any topic. */
enum status group_exists(struct state *st, struct slice group, bool *ret_exists) MUST_CHECK;

/* Its row as stored, or as the open group has changed it. ST_GONE: there is none. The gt may be gone all the same. Its
 * filter points into scratch2. */
enum status group_read(struct state *st, struct slice group, struct slice topic, struct group_row *ret_row) MUST_CHECK;

/* Deletes the rows of a gt, and the gt in memory; row: its row G. ST_IO, ST_NOMEM: unchanged. */
enum status group_erase(struct state *st, struct slice group, struct slice topic, const struct group_row *row) MUST_CHECK;

/* Its settings have changed: writes its row G with the commit group. */
void group_save(struct state *st, const struct gt *gt);

/* Gives it the filter of *set. ST_NOMEM: unchanged. */
enum status group_set_filter(struct state *st, struct gt *gt, const struct group_settings *set) MUST_CHECK;

/* Drops all its runs: nothing is leased or waits any more. */
void group_drop_runs(struct state *st, struct gt *gt);

/* Takes a gt out of memory. What it has not written is lost. */
void group_forget(struct state *st, struct gt *gt);

/* Counts its memory again. */
void group_measure(struct state *st, struct gt *gt);

/* Puts its row G, as it is now, into the group. */
void group_save(struct state *st, const struct gt *gt);

/* Marks gt as changed: its cursor row and its changed runs are written with the commit group. */
void group_dirty(struct state *st, struct gt *gt);

/* Reads what group_arm will need to know. A command that can be refused asks for it before it changes anything: where the
 * read fails, group_arm puts a timer that other replicas do not have. ST_IO, ST_NOMEM. (What is damaged is no reason.) */
enum status group_arm_ready(struct state *st, struct gt *gt) MUST_CHECK;

/* Makes sure that the timer fires at or before the first lease that ends and the first message that comes due. */
void group_arm(struct state *st, struct gt *gt, int64_t now_ms);

/* Puts the rows of all changed gts into the batch. */
void group_flush(struct state *st);

/* Frees all of them. */
void groups_free(struct state *st);

#endif
