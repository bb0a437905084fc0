/* group.c: groups on topics: loads, creates, deletes and writes them (group.h). What happens to their messages is in
 * lease.c, dead.c and apply/pop.c. */
#include "storage/model/group.h"

#include <stdlib.h>

#include "storage/disk/attempts.h"
#include "storage/model/timer.h"
#include "storage/model/log.h"
#include "storage/model/run_rows.h"
#include "storage/model/waiting.h"

#define GROUP_RETRY_MS 1000

/* The key of the table: group, a zero byte, topic. hold has GT_KEY_MAX bytes. */
static struct slice group_key(struct slice group, struct slice topic, uint8_t *hold)
{
    memcpy(hold, group.data, group.len);
    hold[group.len] = 0;
    memcpy(hold + group.len + 1, topic.data, topic.len);
    return slice_of(hold, group.len + 1 + topic.len);
}

#define GT_KEY_MAX (2 * NAME_BYTES_MAX + 24)

static void group_free(struct gt *gt)
{
    if (!gt)
        return;
    runs_fini(&gt->runs);
    free(gt->queues);
    free((void *)(uintptr_t)gt->key.data);
    free(gt);
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
    gt->queues = queues;
    gt->n_queues = t->n_queues;
    gt->news.key = news_key(NEWS_GROUP, gt->group, t->name);
    runs_init(&gt->runs);
    return gt;
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
    struct key key = key_cursor(gt->id);
    struct cursor_row cursor = {0};
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s == ST_OK)
        s = cursor_decode(buf_slice(&st->scratch2), &cursor) == ST_OK ? ST_OK : ST_GONE;
    if (s != ST_OK)
        return s == ST_GONE ? core_bad_row(st, &key) : s;
    gt->timer_ms = cursor.timer_ms;
    gt->attempt_top = cursor.attempt_top;
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        uint64_t next = q < cursor.n_queues ? cursor.next[q] : 0;
        uint64_t floor = gt->topic->queues[q].floor;
        gt->queues[q].next = next > floor ? next : floor;
    }
    return runs_load(&gt->runs, st, gt->id, &cursor);
}

static enum status group_load(struct state *st, struct slice key, struct slice group, struct slice topic,
                           struct gt **ret_gt)
{
    struct key row_key = key_group(group, topic);
    struct group_row row;
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &row_key, &st->scratch2);
    if (s == ST_OK)
        s = group_decode(buf_slice(&st->scratch2), &row) == ST_OK ? ST_OK : core_bad_row(st, &row_key);
    if (s != ST_OK)
        return s;
    struct topic *t = NULL;
    s = topic_get(st, topic, &t);
    if (s != ST_OK)
        return s == ST_GONE ? core_bad_row(st, &row_key) : s;
    struct gt *gt = group_new(key, group.len, t);
    if (!gt)
        return ST_NOMEM;
    s = group_read_rows(st, gt, &row);
    if (s != ST_OK) {
        group_free(gt);
        return s;
    }
    hash_add(&st->gts, &gt->node, text_hash(gt->key));
    *ret_gt = gt;
    return ST_OK;
}

enum status group_get(struct state *st, struct slice group, struct slice topic, struct gt **ret_gt)
{
    uint8_t hold[GT_KEY_MAX];
    struct slice key = group_key(group, topic, hold);
    struct hash_node *node = hash_first(&st->gts, text_hash(key));
    while (node && !slice_equal(((struct gt *)node)->key, key))
        node = hash_more(node);
    if (!node)
        return group_load(st, key, group, topic, ret_gt);
    *ret_gt = (struct gt *)node;
    return ST_OK;
}

void group_settings_default(struct group_settings *set)
{
    *set = (struct group_settings){
        .lease_ms = LEASE_MS_DEFAULT, .attempts = ATTEMPTS_DEFAULT, .from = POINT_EARLIEST};
}

static enum status group_start(struct state *st, struct gt *gt, int64_t from)
{
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        const struct queue *queue = &gt->topic->queues[q];
        gt->queues[q].next = from == POINT_LATEST ? queue->end : queue->floor;
        if (from < 0)
            continue;
        enum status s = log_offset_at(st, gt->topic, q, from, &gt->queues[q].next);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void group_save(struct state *st, const struct gt *gt)
{
    struct group_row row = {.id = gt->id,
                            .topic_id = gt->topic->id,
                            .created_ms = gt->created_ms,
                            .lease_ms = gt->lease_ms,
                            .attempts = gt->attempts,
                            .attempt_base = gt->attempt_base,
                            .n_backoff = gt->n_backoff};
    memcpy(row.backoff_ms, gt->backoff_ms, sizeof(row.backoff_ms));
    buf_reset(&st->scratch2, KIB(64));
    group_encode(&st->scratch2, &row);
    struct key key = key_group(gt->group, gt->topic->name);
    overlay_put(&st->overlay, &key, core_row(st));
    struct key hang = key_topic_group(gt->topic->id, gt->group);
    core_put(st, &hang, slice_of(NULL, 0));
}

enum status group_create(struct state *st, int64_t now_ms, struct slice group, struct topic *t,
                      const struct group_settings *set, struct gt **ret_gt)
{
    if (st->meta.groups >= GROUPS_MAX)
        return ST_LIMIT;
    uint8_t hold[GT_KEY_MAX];
    struct gt *gt = group_new(group_key(group, t->name, hold), group.len, t);
    if (!gt)
        return ST_NOMEM;
    gt->created_ms = now_ms;
    gt->lease_ms = set->lease_ms;
    gt->attempts = set->attempts;
    gt->n_backoff = set->n_backoff;
    memcpy(gt->backoff_ms, set->backoff_ms, sizeof(gt->backoff_ms));
    enum status s = attempts_used(&st->overlay, gt->key, &gt->attempt_base);
    gt->attempt_top = gt->attempt_base;
    if (s == ST_OK && gt->attempt_base > ATTEMPT_BASE_MAX)
        s = ST_LIMIT;
    if (s == ST_OK)
        s = group_start(st, gt, set->from);
    if (s != ST_OK) {
        group_free(gt);
        return s;
    }
    hash_add(&st->gts, &gt->node, text_hash(gt->key));
    gt->id = core_next_ref(st);
    st->meta.groups++;
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
                             .purges = gt->topic->purges,
                             .n_queues = gt->n_queues};
    for (uint32_t q = 0; q < gt->n_queues; q++)
        row.next[q] = gt->queues[q].next;
    runs_count(&gt->runs, st, gt->id, &row);
    buf_reset(&st->scratch2, KIB(64));
    cursor_encode(&st->scratch2, &row);
    struct key key = key_cursor(gt->id);
    core_put(st, &key, core_row(st));
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
        group_save_cursor(st, gt);
        runs_flush(&gt->runs, st, gt->id);
    }
    st->dirty_gts = NULL;
    st->dirty_gts_end = &st->dirty_gts;
}

void groups_free(struct state *st)
{
    struct gt *changed = NULL;
    for (struct gt *gt = st->dirty_gts; gt; gt = changed) {
        changed = gt->dirty_next;
        if (gt->gone)
            group_free(gt);
    }
    for (struct hash_node *node = hash_walk(&st->gts, NULL), *next; node; node = next) {
        next = hash_walk(&st->gts, node);
        group_free((struct gt *)node);
    }
    hash_free(&st->gts);
}

static void group_timer_drop(struct state *st, struct gt *gt)
{
    if (!gt->timer_ms)
        return;
    timer_del(st, gt->timer_ms, TIMER_GT, gt->key);
    gt->timer_ms = 0;
}

/* Removes a gt from memory and from the store. */
static void group_drop(struct state *st, struct gt *gt)
{
    core_gone(st, gt->group, gt->topic->name);
    group_timer_drop(st, gt);
    struct key key = key_group(gt->group, gt->topic->name);
    overlay_del(&st->overlay, &key);
    struct key hang = key_topic_group(gt->topic->id, gt->group);
    core_del(st, &hang);
    struct key cursor = key_cursor(gt->id);
    core_del(st, &cursor);
    runs_delete(st, gt->id);
    assert(st->meta.groups > 0);
    st->meta.groups--;
    st->meta_dirty = true;
    hash_remove(&st->gts, &gt->node);
    if (gt->dirty)
        gt->gone = true; /* group_flush frees it, and writes nothing */
    else
        group_free(gt);
}

/* Remembers which attempt numbers a gt has used, before it is deleted. */
static enum status group_leave_attempts(struct state *st, const struct gt *gt)
{
    return gt->attempt_top > gt->attempt_base ? attempts_leave(&st->overlay, gt->key, gt->attempt_top) : ST_OK;
}

/* group_leave_attempts of all gts that group_match finds. Not ST_OK: none of them may be deleted. */
static enum status group_leave_all(struct state *st, struct slice group, const struct topic *t)
{
    enum status s = ST_OK;
    for (struct hash_node *node = hash_walk(&st->gts, NULL); s == ST_OK && node; node = hash_walk(&st->gts, node)) {
        const struct gt *gt = (const struct gt *)node;
        if (t ? gt->topic == t : slice_equal(gt->group, group))
            s = group_leave_attempts(st, gt);
    }
    return s;
}

/* Loads all groups that the store has on a topic (t), or all topics of a group (t NULL). */
static enum status group_load_all(struct state *st, const struct key *prefix, struct slice group,
                            const struct topic *t)
{
    struct key to = key_after(prefix);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(prefix), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        struct slice rest = slice_of(key.data + prefix->len, key.len - prefix->len);
        struct gt *gt = NULL;
        s = t ? group_get(st, rest, t->name, &gt) : group_get(st, group, rest, &gt);
        if (s == ST_GONE) /* deleted in the open group already */
            s = ST_OK;
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

/* Some gt in memory that is on the topic, or, where t is NULL, of the group; NULL: there is none. */
static struct gt *group_match(const struct state *st, struct slice group, const struct topic *t)
{
    for (struct hash_node *node = hash_walk(&st->gts, NULL); node; node = hash_walk(&st->gts, node)) {
        struct gt *gt = (struct gt *)node;
        if (t ? gt->topic == t : slice_equal(gt->group, group))
            return gt;
    }
    return NULL;
}

enum status group_exists(struct state *st, struct slice group, bool *ret_exists)
{
    struct key prefix = key_group_prefix(group);
    enum status s = group_load_all(st, &prefix, group, NULL);
    if (s != ST_OK)
        return s;
    *ret_exists = group_match(st, group, NULL) != NULL;
    return ST_OK;
}

enum status group_delete(struct state *st, struct slice group)
{
    struct key prefix = key_group_prefix(group);
    enum status s = group_load_all(st, &prefix, group, NULL);
    if (s != ST_OK)
        return s;
    s = group_leave_all(st, group, NULL);
    if (s != ST_OK)
        return s;
    struct gt *gt = group_match(st, group, NULL);
    if (!gt)
        return ST_GONE;
    for (; gt; gt = group_match(st, group, NULL))
        group_drop(st, gt);
    return ST_OK;
}

static void group_reset(struct state *st, struct gt *gt)
{
    runs_fini(&gt->runs);
    runs_delete(st, gt->id);
    group_timer_drop(st, gt);
    for (uint32_t q = 0; q < gt->n_queues; q++)
        gt->queues[q].next = gt->topic->queues[q].end;
    group_dirty(st, gt);
}

enum status group_leave_topic(struct state *st, struct topic *t, bool reset)
{
    struct key prefix = key_of_id('H', t->id);
    enum status s = group_load_all(st, &prefix, slice_of(NULL, 0), t);
    if (s != ST_OK)
        return s;
    if (!reset) {
        s = group_leave_all(st, t->name, t);
        if (s != ST_OK)
            return s;
        for (struct gt *gt = group_match(st, t->name, t); gt; gt = group_match(st, t->name, t))
            group_drop(st, gt);
        return ST_OK;
    }
    for (struct hash_node *node = hash_walk(&st->gts, NULL); node; node = hash_walk(&st->gts, node)) {
        if (((struct gt *)node)->topic == t)
            group_reset(st, (struct gt *)node);
    }
    return ST_OK;
}

/* When the first waiting message comes due. Where its row cannot be read, in a second, to try again then. */
static int64_t group_waiting_due(struct state *st, struct gt *gt, int64_t now_ms)
{
    struct run *first = NULL;
    if (waiting_first(&gt->runs, st, gt->id, &first) != ST_OK)
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
