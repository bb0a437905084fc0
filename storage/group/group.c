/* group.c: groups on topics: loads, creates, deletes and writes them (group.h). What happens to their messages is in
 * lease.c, dead.c and apply/pop.c. */
#include "storage/group/group.h"

#include <stdlib.h>

#include "storage/disk/attempts.h"
#include "storage/model/timer.h"
#include "storage/model/log.h"
#include "storage/group/run_floor.h"
#include "storage/group/order.h"
#include "storage/group/run_rows.h"
#include "storage/group/waiting.h"

#define GROUP_RETRY_MS 1000
#define GT_OVERHEAD 64  /* what the heap adds to a gt ... */
#define RUN_OVERHEAD 32 /* ... and to a run; and its bits */

/* The key of the table: group, a zero byte, topic. hold has GT_KEY_MAX bytes. */
static struct slice group_key(struct slice group, struct slice topic, uint8_t *hold)
{
    memcpy(hold, group.data, group.len);
    hold[group.len] = 0;
    memcpy(hold + group.len + 1, topic.data, topic.len);
    return slice_of(hold, group.len + 1 + topic.len);
}

#define GT_KEY_MAX (2 * NAME_BYTES_MAX + 24)

static struct gt *group_in_memory(const struct state *st, struct slice key)
{
    struct hash_node *node = hash_first(&st->gts, text_hash(key));
    while (node && !slice_equal(((struct gt *)node)->key, key))
        node = hash_more(node);
    return (struct gt *)node;
}

static void group_free(struct gt *gt)
{
    if (!gt)
        return;
    runs_fini(&gt->runs);
    order_free(gt->order);
    lanes_free(gt->lanes);
    free(gt->queues);
    free((void *)(uintptr_t)gt->key.data);
    free((void *)(uintptr_t)gt->filter.data);
    free(gt);
}

/* Keeps a copy of the text of its filter. False: no memory, and it has the filter that it had. */
static bool group_keep_filter(struct gt *gt, enum filter_kind kind, struct slice text)
{
    uint8_t *copy = text.len ? malloc(text.len) : NULL;
    if (text.len && !copy)
        return false;
    if (copy)
        memcpy(copy, text.data, text.len);
    free((void *)(uintptr_t)gt->filter.data);
    gt->filter_kind = kind;
    gt->filter = slice_of(copy, text.len);
    return true;
}

static struct gt *group_new(struct slice key, size_t group_len, struct topic *t)
{
    struct gt *gt = calloc(1, sizeof(*gt));
    uint8_t *copy = malloc(key.len);
    struct gtq *queues = calloc(t->n_queues, sizeof(*queues));
    if (!gt || !copy || !queues) {
        free(gt);
        free(copy);
        free(queues);
        return NULL;
    }
    memcpy(copy, key.data, key.len);
    gt->key = slice_of(copy, key.len);
    gt->group = slice_of(copy, group_len);
    gt->topic = t;
    gt->purges = t->purges;
    gt->cuts = UINT64_MAX; /* it has not looked at the floors */
    gt->queues = queues;
    gt->n_queues = t->n_queues;
    gt->news.key = news_key(NEWS_GROUP, gt->group, t->name);
    runs_init(&gt->runs);
    return gt;
}

static size_t group_bytes(const struct gt *gt)
{
    return sizeof(*gt) + gt->key.len + gt->filter.len + GT_OVERHEAD + gt->n_queues * sizeof(*gt->queues) +
           lanes_bytes(gt->lanes) + (gt->runs.leased_runs + gt->runs.n_window) * (sizeof(struct run) + RUN_OVERHEAD) +
           (gt->order ? order_bytes(gt->order) : 0);
}

/* From here on it is in the tables, and points to its topic and its consumer group. */
static void group_add(struct state *st, struct gt *gt, struct cgroup *cg)
{
    hash_add(&st->gts, &gt->node, text_hash(gt->key));
    lru_add(&st->lru, &gt->lru, LRU_GT, group_bytes(gt));
    gt->cgroup = cg;
    cgroup_hold(cg);
    gt->topic->n_gts++;
}

void group_forget(struct state *st, struct gt *gt)
{
    hash_remove(&st->gts, &gt->node);
    lru_remove(&st->lru, &gt->lru);
    cgroup_release(st, gt->cgroup);
    topic_release(gt->topic);
    gt->cgroup = NULL;
    gt->topic = NULL;
    if (gt->dirty)
        gt->gone = true; /* group_flush frees it, and writes nothing */
    else
        group_free(gt);
}

static enum status group_read_cursor(struct state *st, uint64_t id, struct cursor_row *ret_row)
{
    struct key key = key_cursor(id);
    buf_reset(&st->scratch2, KIB(64));
    enum status s = kv_get(st->kv, KV_STATE, NULL, key_slice(&key), &st->scratch2);
    *ret_row = (struct cursor_row){0};
    if (s == ST_OK && cursor_decode(buf_slice(&st->scratch2), ret_row) != ST_OK)
        return core_bad_row(st, &key);
    return s;
}

static enum status group_read_rows(struct state *st, struct gt *gt, const struct group_row *row)
{
    gt->id = row->id;
    gt->created_ms = row->created_ms;
    gt->lease_ms = row->lease_ms;
    gt->attempts = row->attempts;
    gt->attempt_base = row->attempt_base;
    gt->n_backoff = row->n_backoff;
    memcpy(gt->backoff_ms, row->backoff_ms, sizeof(gt->backoff_ms));
    gt->flags = row->flags;
    gt->rate = row->rate;
    gt->rate_ms = row->rate_ms;
    gt->inflight = row->inflight;
    gt->pause_ref = row->pause_ref;
    gt->filter_ref = row->filter_ref;
    struct cursor_row cursor;
    struct key key = key_cursor(gt->id);
    enum status s = group_read_cursor(st, gt->id, &cursor);
    if (s != ST_OK)
        return s == ST_GONE ? core_bad_row(st, &key) : s;
    gt->timer_ms = cursor.timer_ms;
    gt->purges = cursor.purges;
    gt->attempt_top = cursor.attempt_top;
    gt->rate_free_us = cursor.rate_free_us;
    gt->sought = cursor.sought;
    gt->leased_stored = cursor.leased;
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        uint64_t next = q < cursor.n_queues ? cursor.next[q] : 0;
        uint64_t floor = gt->topic->queues[q].floor;
        gt->queues[q].next = next > floor ? next : floor;
        gt->queues[q].again = q < cursor.n_queues ? cursor.again[q] : 0;
        gt->queues[q].again_base = q < cursor.n_queues ? cursor.again_base[q] : 0;
    }
    gt->runs.overlap = gt->flags & GROUP_OVERLAPS;
    s = runs_load(&gt->runs, st, gt->id, &cursor);
    if (s != ST_OK || !(gt->flags & GROUP_ORDERED))
        return s;
    gt->order = order_new();
    bool voided = cursor.purges != gt->topic->purges; /* nothing of it is left */
    if (!gt->order || voided)
        return gt->order ? ST_OK : ST_NOMEM;
    return order_load(gt->order, st, gt->topic, gt->id, &cursor, &gt->runs);
}

static void group_timer_drop(struct state *st, struct gt *gt)
{
    if (!gt->timer_ms)
        return;
    timer_del(st, gt->timer_ms, TIMER_GT, gt->key);
    gt->timer_ms = 0;
}

/* True where it may have rows R, V or Z. */
static bool group_has_runs(const struct gt *gt)
{
    return gt->dirty || gt->runs.leased_runs || gt->runs.waiting_runs || gt->order;
}

/* What must be known of a gt to delete its rows. */
struct erasure {
    uint32_t attempt_top;
    int64_t timer_ms;
    bool has_runs;
};

/* Finds that out: in memory, where it is changed, or from its cursor row. */
static enum status group_look(struct state *st, const struct gt *gt, uint64_t id, struct erasure *ret_e)
{
    if (gt) {
        bool runs = group_has_runs(gt);
        *ret_e = (struct erasure){gt->attempt_top, gt->timer_ms, runs};
        return ST_OK;
    }
    struct cursor_row cursor;
    enum status s = group_read_cursor(st, id, &cursor);
    *ret_e = (struct erasure){cursor.attempt_top, cursor.timer_ms, cursor.leased_runs || cursor.waiting_runs || cursor.skipped};
    return s == ST_GONE ? ST_OK : s;
}

enum status group_erase(struct state *st, struct slice group, struct slice topic, const struct group_row *row)
{
    uint8_t hold[GT_KEY_MAX];
    struct slice name = group_key(group, topic, hold);
    struct gt *gt = group_in_memory(st, name);
    struct cgroup *cg = NULL;
    struct erasure e;
    enum status s = cgroup_get(st, group, &cg);
    if (s == ST_OK)
        s = group_look(st, gt, row->id, &e);
    if (s == ST_OK && e.attempt_top > row->attempt_base)
        s = attempts_leave(&st->overlay, name, e.attempt_top);
    if (s != ST_OK)
        return s;
    core_gone(st, group, topic);
    if (e.timer_ms)
        timer_del(st, e.timer_ms, TIMER_GT, name);
    struct key key = key_group(group, topic), hang = key_topic_group(row->topic_id, group), cursor = key_cursor(row->id);
    overlay_del(&st->overlay, &key);
    core_del(st, &hang);
    core_del(st, &cursor);
    if (e.has_runs)
        runs_delete(st, row->id);
    if (row->flags & GROUP_RANKED)
        lanes_erase(st, row->id);
    if (row->id >= cg->row.below) { /* otherwise GROUP DELETE has counted it */
        assert(st->meta.groups > 0 && cg->row.topics > 0);
        cg->row.topics--;
        cg->row.paused = cg->row.paused && cg->row.topics > 0;
        cgroup_dirty(st, cg);
        st->meta.groups--;
        st->meta_dirty = true;
    }
    if (gt)
        group_forget(st, gt);
    return ST_OK;
}

enum status group_read(struct state *st, struct slice group, struct slice topic, struct group_row *ret_row)
{
    struct key key = key_group(group, topic);
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s != ST_OK)
        return s;
    return group_decode(buf_slice(&st->scratch2), ret_row) == ST_OK ? ST_OK : core_bad_row(st, &key);
}

/* Loads it. Where its topic or its group was deleted, its rows are only left over: then they go now. */
static enum status group_load(struct state *st, struct slice key, struct slice group, struct slice topic,
                           struct gt **ret_gt)
{
    struct group_row row;
    struct topic *t = NULL;
    struct cgroup *cg = NULL;
    enum status s = topic_get(st, topic, &t);
    if (s == ST_OK || s == ST_GONE)
        s = cgroup_get(st, group, &cg);
    if (s == ST_OK) /* last, because the row's filter is only there until the next row is read */
        s = group_read(st, group, topic, &row);
    if (s != ST_OK)
        return s;
    if (!t || t->id != row.topic_id || row.id < cg->row.below) {
        s = group_erase(st, group, topic, &row);
        return s == ST_OK ? ST_GONE : s;
    }
    struct gt *gt = group_new(key, group.len, t);
    if (!gt)
        return ST_NOMEM;
    s = group_keep_filter(gt, row.filter_kind, row.filter) ? group_read_rows(st, gt, &row) : ST_NOMEM;
    if (s != ST_OK) {
        group_free(gt);
        return s;
    }
    group_add(st, gt, cg);
    *ret_gt = gt;
    return ST_OK;
}

void group_drop_runs(struct state *st, struct gt *gt)
{
    if (group_has_runs(gt))
        runs_delete(st, gt->id);
    runs_fini(&gt->runs);
    if (gt->order)
        order_clear(gt->order);
    group_timer_drop(st, gt);
    group_dirty(st, gt);
}

/* The topic was purged. */
static void group_reset(struct state *st, struct gt *gt)
{
    group_drop_runs(st, gt);
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        uint64_t floor = gt->topic->queues[q].floor;
        if (gt->queues[q].next < floor)
            gt->queues[q].next = floor;
    }
    gt->purges = gt->topic->purges;
    gt->cuts = gt->topic->cuts;
}

/* The topic has more queues now. ST_NOMEM: unchanged. */
static enum status group_widen(struct state *st, struct gt *gt)
{
    const struct topic *t = gt->topic;
    struct gtq *queues = realloc(gt->queues, t->n_queues * sizeof(*queues));
    if (!queues)
        return ST_NOMEM;
    for (uint32_t q = gt->n_queues; q < t->n_queues; q++)
        queues[q] = (struct gtq){.next = t->queues[q].floor};
    gt->queues = queues;
    gt->n_queues = t->n_queues;
    group_measure(st, gt);
    return ST_OK;
}

/* Messages that the group has not finished are gone, because they were too old or too many. Leases on them end here; those
 * that wait for a retry are dropped when their turn comes. */
static enum status group_trim(struct state *st, struct gt *gt)
{
    enum status s = ST_OK;
    bool changed = false;
    for (uint32_t q = 0; q < gt->n_queues && s == ST_OK; q++) {
        uint64_t floor = gt->topic->queues[q].floor;
        if (gt->queues[q].next < floor)
            gt->queues[q].next = floor;
        s = run_floor_leased(&gt->runs, q, floor, &changed);
    }
    uint64_t skipped = gt->order ? gt->order->skips.n : 0;
    if (gt->order && order_trim(gt->order, gt->topic))
        core_news(st, &gt->news, 1);
    if (changed || (gt->order && gt->order->skips.n != skipped))
        group_dirty(st, gt);
    gt->cuts = gt->topic->cuts;
    return s;
}

enum status group_get(struct state *st, struct slice group, struct slice topic, struct gt **ret_gt)
{
    uint8_t hold[GT_KEY_MAX];
    struct slice key = group_key(group, topic, hold);
    struct gt *gt = group_in_memory(st, key);
    if (gt && (gt->topic->gone || gt->id < gt->cgroup->row.below)) {
        struct group_row row = {
            .id = gt->id, .topic_id = gt->topic->id, .attempt_base = gt->attempt_base, .flags = gt->flags};
        enum status s = group_erase(st, group, topic, &row);
        return s == ST_OK ? ST_GONE : s;
    }
    if (!gt) {
        enum status s = group_load(st, key, group, topic, &gt);
        if (s != ST_OK)
            return s;
    }
    lru_use(&gt->lru);
    enum status s = gt->n_queues < gt->topic->n_queues ? group_widen(st, gt) : ST_OK;
    if (s == ST_OK && gt->purges != gt->topic->purges)
        group_reset(st, gt);
    if (s == ST_OK && gt->cuts != gt->topic->cuts)
        s = group_trim(st, gt);
    *ret_gt = gt;
    return s;
}

void group_settings_default(struct group_settings *set)
{
    *set = (struct group_settings){
        .lease_ms = LEASE_MS_DEFAULT, .attempts = ATTEMPTS_DEFAULT, .from = POINT_EARLIEST};
}

static enum status group_start(struct state *st, struct gt *gt, int64_t from)
{
    if (gt->topic->classes && !(gt->flags & GROUP_ORDERED)) {
        enum status s = lanes_load(&gt->lanes, st, UINT64_MAX, gt->topic->classes, gt->n_queues);
        if (s != ST_OK)
            return s;
        gt->flags |= GROUP_RANKED | GROUP_OVERLAPS;
        gt->runs.overlap = true;
    }
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        const struct queue *queue = &gt->topic->queues[q];
        gt->queues[q].next = from == POINT_LATEST ? queue->end : queue->floor;
        enum status s = from < 0 ? ST_OK : log_offset_at(st, gt->topic, q, from, &gt->queues[q].next);
        if (s != ST_OK)
            return s;
        if (gt->lanes)
            lanes_move(gt->lanes, q, gt->queues[q].next);
    }
    return ST_OK;
}

void group_save(struct state *st, const struct gt *gt)
{
    struct group_row row = {.id = gt->id,
                            .topic_id = gt->topic->id,
                            .created_ms = gt->created_ms,
                            .lease_ms = gt->lease_ms,
                            .attempts = gt->attempts,
                            .attempt_base = gt->attempt_base,
                            .n_backoff = gt->n_backoff,
                            .flags = gt->flags,
                            .rate = gt->rate,
                            .rate_ms = gt->rate_ms,
                            .inflight = gt->inflight,
                            .pause_ref = gt->pause_ref,
                            .filter_kind = gt->filter_kind,
                            .filter_ref = gt->filter_ref,
                            .filter = gt->filter};
    memcpy(row.backoff_ms, gt->backoff_ms, sizeof(row.backoff_ms));
    buf_reset(&st->scratch2, KIB(64));
    group_encode(&st->scratch2, &row);
    struct key key = key_group(gt->group, gt->topic->name);
    overlay_put(&st->overlay, &key, core_row(st));
    struct key hang = key_topic_group(gt->topic->id, gt->group);
    core_put(st, &hang, slice_of(NULL, 0));
}

enum status group_set_filter(struct state *st, struct gt *gt, const struct group_settings *set)
{
    if (!group_keep_filter(gt, set->filter_kind, set->filter))
        return ST_NOMEM;
    gt->filter_ref = core_next_ref(st);
    return ST_OK;
}

enum status group_create(struct state *st, int64_t now_ms, struct slice group, struct topic *t,
                      const struct group_settings *set, struct gt **ret_gt)
{
    struct cgroup *cg = NULL;
    uint8_t hold[GT_KEY_MAX];
    if (st->meta.groups >= GROUPS_MAX)
        return ST_LIMIT;
    struct gt *gt = group_new(group_key(group, t->name, hold), group.len, t);
    if (!gt)
        return ST_NOMEM;
    gt->created_ms = now_ms;
    gt->lease_ms = set->lease_ms;
    gt->attempts = set->attempts;
    gt->n_backoff = set->n_backoff;
    memcpy(gt->backoff_ms, set->backoff_ms, sizeof(gt->backoff_ms));
    gt->flags = set->ordered ? GROUP_ORDERED | GROUP_OVERLAPS : 0;
    gt->runs.overlap = set->ordered;
    gt->order = set->ordered ? order_new() : NULL;
    gt->rate = set->rate;
    gt->rate_ms = set->rate ? now_ms : 0;
    gt->inflight = set->inflight;
    bool kept = group_keep_filter(gt, set->filter_kind, set->filter) && (gt->order || !set->ordered);
    enum status s = kept ? cgroup_get(st, group, &cg) : ST_NOMEM;
    if (s == ST_OK)
        s = attempts_used(&st->overlay, gt->key, &gt->attempt_base);
    gt->attempt_top = gt->attempt_base;
    if (s == ST_OK && gt->attempt_base > ATTEMPT_BASE_MAX)
        s = ST_LIMIT;
    if (s == ST_OK)
        s = group_start(st, gt, set->from);
    if (s != ST_OK) {
        group_free(gt);
        return s;
    }
    group_add(st, gt, cg);
    gt->id = core_next_ref(st);
    gt->filter_ref = gt->filter_kind == FILTER_NONE ? 0 : gt->id;
    st->meta.groups++;
    cg->row.topics++;
    gt->born_next = t->born_group == st->group ? t->born : NULL;
    t->born = gt;
    cg->born_group = t->born_group = st->group;
    cgroup_dirty(st, cg);
    group_save(st, gt);
    group_dirty(st, gt);
    *ret_gt = gt;
    return ST_OK;
}

void group_dirty(struct state *st, struct gt *gt)
{
    if (gt->dirty)
        return;
    gt->dirty = true;
    gt->dirty_next = NULL;
    *st->dirty_gts_end = gt;
    st->dirty_gts_end = &gt->dirty_next;
}

/* Writes the cursor row: where the group is, and what it has leased and waiting, so that nobody need count that. */
static void group_save_cursor(struct state *st, struct gt *gt)
{
    struct cursor_row row = {.timer_ms = gt->timer_ms,
                             .attempt_top = gt->attempt_top,
                             .purges = gt->purges,
                             .rate_free_us = gt->rate_free_us,
                             .sought = gt->sought,
                             .n_queues = gt->n_queues};
    for (uint32_t q = 0; q < gt->n_queues; q++)
        row.next[q] = gt->queues[q].next;
    for (uint32_t q = 0; gt->sought && q < gt->n_queues; q++) {
        row.again[q] = gt->queues[q].again;
        row.again_base[q] = gt->queues[q].again_base;
    }
    runs_count(&gt->runs, st, gt->id, &row);
    if (gt->order)
        order_count(gt->order, &row);
    buf_reset(&st->scratch2, KIB(64));
    cursor_encode(&st->scratch2, &row);
    struct key key = key_cursor(gt->id);
    core_put(st, &key, core_row(st));
}

/* Where the commit group has made room that INFLIGHT has not left before, it is news. What was redriven counts for INFLIGHT
 * of other topics. */
static void group_tell_room(struct state *st, struct gt *gt)
{
    uint64_t before = gt->leased_stored, now = gt->runs.n_leased, room = group_inflight_room(gt);
    gt->leased_stored = now;
    if (now >= before || room == 0 || !(gt->inflight || group_is_redriven(gt)))
        return;
    uint64_t n = before - now < room ? before - now : room;
    core_news(st, &gt->news, n < COUNT_MAX ? (uint32_t)n : COUNT_MAX);
}

void group_measure(struct state *st, struct gt *gt)
{
    lru_resize(&st->lru, &gt->lru, group_bytes(gt));
}

void group_flush(struct state *st)
{
    struct gt *next = NULL;
    for (struct gt *gt = st->dirty_gts; gt; gt = next) {
        next = gt->dirty_next;
        gt->dirty = false;
        if (gt->gone) {
            group_free(gt);
            continue;
        }
        group_tell_room(st, gt);
        if (gt->order && order_goes_on(gt->order, gt->runs.n_leased))
            core_news(st, &gt->news, COUNT_MAX);
        group_save_cursor(st, gt);
        if (gt->lanes)
            lanes_flush(gt->lanes, st, gt->id);
        runs_flush(&gt->runs, st, gt->id);
        if (gt->order)
            order_flush(gt->order, st, gt->id);
        group_measure(st, gt);
    }
    st->dirty_gts = NULL;
    st->dirty_gts_end = &st->dirty_gts;
}

void groups_free(struct state *st)
{
    struct gt *changed = NULL;
    for (struct gt *gt = st->dirty_gts; gt; gt = changed) {
        changed = gt->dirty_next;
        gt->dirty = false;
        if (gt->gone)
            group_free(gt);
    }
    for (struct hash_node *node = hash_walk(&st->gts, NULL), *next; node; node = next) {
        next = hash_walk(&st->gts, node);
        group_forget(st, (struct gt *)node);
    }
    hash_free(&st->gts);
}

enum status group_exists(struct state *st, struct slice group, bool *ret_exists)
{
    struct cgroup *cg = NULL;
    enum status s = cgroup_get(st, group, &cg);
    *ret_exists = s == ST_OK && cg->row.topics > 0;
    return s;
}

enum status group_arm_ready(struct state *st, struct gt *gt)
{
    struct run *first = NULL;
    enum status s = gt->runs.waiting_runs ? waiting_first(&gt->runs, st, gt->id, &first) : ST_OK;
    return s == ST_DAMAGED ? ST_OK : s;
}

/* When the first waiting message comes due. Where its row cannot be read, in a second, to try again then. */
static int64_t group_waiting_due(struct state *st, struct gt *gt, int64_t now_ms)
{
    struct run *first = NULL;
    enum status s = waiting_first(&gt->runs, st, gt->id, &first);
    st->sick = st->sick || s == ST_NOMEM;
    if (s != ST_OK)
        return now_ms + GROUP_RETRY_MS;
    return first && first->due_ms > now_ms ? first->due_ms : INT64_MAX;
}

void group_arm(struct state *st, struct gt *gt, int64_t now_ms)
{
    const struct run *leased = run_first_leased(&gt->runs);
    int64_t due = leased ? leased->due_ms : INT64_MAX;
    int64_t waiting = gt->runs.waiting_runs ? group_waiting_due(st, gt, now_ms) : INT64_MAX;
    if (waiting < due)
        due = waiting;
    if (due == INT64_MAX || (gt->timer_ms && gt->timer_ms <= due))
        return;
    group_timer_drop(st, gt);
    gt->timer_ms = due;
    timer_put(st, due, TIMER_GT, gt->key);
    group_dirty(st, gt);
}
