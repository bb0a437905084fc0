/* retry.c: the topic %RETRY%<group>, and the group on it (retry.h). */
#include "storage/group/retry.h"

#include "storage/group/order.h"
#include "storage/group/verdict.h"
#include "storage/model/log.h"
#include "storage/model/removal.h"

#define TRIM_MAX 2000 /* messages */
#define CLASS_LOOKS_MAX 64 /* look-ups for the first message of a class: each of them goes over many records */

struct slice retry_topic_name(struct slice group, uint8_t *out)
{
    memcpy(out, RETRY_PREFIX.data, RETRY_PREFIX.len);
    memcpy(out + RETRY_PREFIX.len, group.data, group.len);
    return slice_of(out, RETRY_PREFIX.len + group.len);
}

/* The group whose topic it is; empty: it is no such topic. */
static struct slice retry_group(struct slice topic)
{
    bool is = topic.len > RETRY_PREFIX.len && memcmp(topic.data, RETRY_PREFIX.data, RETRY_PREFIX.len) == 0;
    return is ? slice_of(topic.data + RETRY_PREFIX.len, topic.len - RETRY_PREFIX.len) : slice_of(NULL, 0);
}

bool retry_is_of(struct slice topic, struct slice group)
{
    return slice_equal(retry_group(topic), group);
}

enum status retry_get(struct state *st, struct cgroup *cg, struct gt **ret_gt)
{
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    return cg->row.has_retry ? group_get(st, cg->name, retry_topic_name(cg->name, hold), ret_gt) : ST_GONE;
}

/* The settings that the group has where the first redriven message came from, without a filter, which has let it pass
 * already, and without limits: POP counts it with those of the topic that it names. */
static enum status retry_settings(struct state *st, struct slice group, struct slice origin, struct group_settings *set)
{
    struct message_id id;
    struct gt *from = NULL;
    group_settings_default(set);
    enum status s = text_id(origin, &id) ? group_get(st, group, id.topic, &from) : ST_GONE;
    if (s != ST_OK)
        return s == ST_GONE ? ST_OK : s;
    set->lease_ms = from->lease_ms;
    set->attempts = from->attempts;
    set->n_backoff = from->n_backoff;
    memcpy(set->backoff_ms, from->backoff_ms, sizeof(set->backoff_ms));
    set->ordered = from->flags & GROUP_ORDERED;
    return ST_OK;
}

static enum status retry_make(struct state *st, const struct stamp *stamp, struct slice group, struct slice origin,
                              struct topic *t, struct slice name, struct gt **ret_gt)
{
    static const struct topic_settings one_queue = {.n_queues = 1, .reserved = true};
    struct group_settings set;
    enum status s = retry_settings(st, group, origin, &set);
    if (s == ST_OK && st->meta.groups >= GROUPS_MAX)
        s = ST_LIMIT;
    if (s == ST_OK && !t)
        s = topic_create(st, stamp->now_ms, name, &one_queue, &t);
    if (s == ST_OK)
        s = group_create(st, stamp->now_ms, group, t, &set, ret_gt);
    return s;
}

enum status retry_need(struct state *st, const struct stamp *stamp, struct slice group, struct slice origin,
                       struct gt **ret_gt)
{
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    struct slice name = retry_topic_name(group, hold);
    struct topic *t = NULL;
    enum status s = topic_get(st, name, &t);
    if (s == ST_OK)
        s = group_get(st, group, name, ret_gt);
    if (s == ST_GONE)
        s = retry_make(st, stamp, group, origin, t, name, ret_gt);
    if (s != ST_OK)
        return s; /* where the topic was made, it waits for the next REDRIVE */
    struct cgroup *cg = (*ret_gt)->cgroup;
    if (!cg->row.has_retry) {
        cg->row.has_retry = true;
        cgroup_dirty(st, cg);
    }
    return ST_OK;
}

/* Are there messages before the cursors that no leased run has? Those that wait for a retry are found by their due times
 * only, and those that ORDER has put off are not looked for either. */
static bool retry_has_others(const struct gt *gt)
{
    return gt->runs.waiting_runs || (gt->order && gt->order->skips.n > 0);
}

/* The first message of the class that the group never got: behind its cursor there may be none for long. *ret_first: the end
 * of the queue where there is none at all. ST_BUSY: nobody knows yet; ST_IO, ST_DAMAGED, ST_NOMEM. */
static enum status retry_first_of(struct state *st, struct gt *gt, uint8_t class, uint64_t *ret_first)
{
    const struct queue *q = &gt->topic->queues[0];
    uint64_t at = gt->lanes->of[class][0].next;
    for (int i = 0; i < CLASS_LOOKS_MAX; i++) {
        struct record_info info;
        struct judge j;
        enum status s = at < q->end ? log_class_find(st, gt->topic, 0, class, at, &at, &info) : ST_GONE;
        *ret_first = q->end;
        if (s != ST_OK)
            return s == ST_GONE ? ST_OK : s;
        uint64_t end = info.base + info.count;
        s = info.classes & (1U << class) ? judge_begin(&j, st, gt, 0, &info) : ST_OK;
        if (s != ST_OK)
            return s;
        *ret_first = info.classes & (1U << class) ? judge_seek(&j, class, at, end) : end;
        if (*ret_first < end)
            return ST_OK;
        at = end;
    }
    return ST_BUSY;
}

/* Where all messages before were delivered. */
static enum status retry_undelivered(struct state *st, struct gt *gt, uint64_t *ret_first)
{
    *ret_first = gt->queues[0].next;
    enum status s = ranked(gt) ? ranked_load(st, gt, false) : ST_OK;
    for (uint8_t c = 0; ranked(gt) && c < CLASSES_MAX && s == ST_OK; c++) {
        uint64_t first = UINT64_MAX;
        if (gt->topic->classes & (1U << c) && c != MESSAGE_PRIORITY_DEFAULT)
            s = retry_first_of(st, gt, c, &first);
        *ret_first = first < *ret_first ? first : *ret_first;
    }
    return s;
}

/* Where the group's first message is that it may still need. Where that is not known, nothing is deleted now. */
static uint64_t retry_first(struct state *st, struct gt *gt)
{
    const struct run *leased = run_from_queue(&gt->runs, 0);
    uint64_t first = 0;
    enum status s = retry_has_others(gt) ? ST_BUSY : retry_undelivered(st, gt, &first);
    st->sick = st->sick || s == ST_NOMEM;
    if (s != ST_OK)
        return gt->topic->queues[0].floor;
    if (!leased || leased->base >= first)
        return first;
    first = leased->base;
    while (!gt->runs.overlap && !run_has(leased, first))
        first++;
    return first;
}

void retry_trim(struct state *st, struct gt *gt)
{
    struct removal r;
    uint64_t to = retry_first(st, gt);
    removal_begin(&r, st, gt->topic, 0);
    if (to <= r.floor)
        return;
    r.floor = to - r.floor < TRIM_MAX ? to : r.floor + TRIM_MAX;
    removal_end(&r);
}

void retry_gone(struct state *st, struct slice topic)
{
    struct cgroup *cg = NULL;
    struct slice group = retry_group(topic);
    if (group.len == 0 || cgroup_get(st, group, &cg) != ST_OK || !cg->row.has_retry)
        return;
    cg->row.has_retry = false;
    cgroup_dirty(st, cg);
}
