/*
 * query_leases.c: GROUP LEASES: the messages that are leased to somebody, by topic, queue and run, a page at a time.
 *
 *   rows G of the group, by topic ──► rows R of each, by queue and base ──► the live bits of each
 *
 * The cursor names where the next page begins, in the form of a receipt: topic, queue and base of a run, and behind the #
 * the place of a message in it, from 1. A run that is gone by then is passed. Leases that are over are none, whether their
 * timer has fired or not, nor are those that a PURGE or a SEEK has made void.
 */
#include "storage/query/handlers.h"
#include "storage/query/base/steps.h"

struct leases {
    bool begun;
    uint64_t below; /* gts of the group with a smaller id are deleted */
    /* ---- the next message to look at; topic_len 0: the first one, or, at the end, there is none ---- */
    uint8_t topic[SYSTEM_NAME_BYTES_MAX];
    size_t topic_len;
    uint32_t queue, index;
    uint64_t base;
    struct cursor_row cursor; /* of the gt at work */
    struct gather g;
};

static bool leases_go_to(struct leases *l, struct slice topic, uint32_t queue, uint64_t base, uint32_t index)
{
    if (topic.len > sizeof(l->topic))
        return false;
    memcpy(l->topic, topic.data, topic.len);
    l->topic_len = topic.len;
    l->queue = queue;
    l->base = base;
    l->index = index;
    return true;
}

static bool leases_read_cursor(struct leases *l, const struct option *cursor)
{
    struct message_id id;
    if (!cursor || slice_equal(cursor->v, SLICE_LIT("0")))
        return true;
    return text_receipt(cursor->v, &id) && leases_go_to(l, id.topic, id.queue, id.offset, id.attempt - 1);
}

/* ST_GONE: there is no such group. ST_ERR: the cursor is wrong, or the group is not on the topic, and that is answered. */
static enum status leases_begin(struct view *v, struct leases *l, const struct command *cmd, struct buf *reply)
{
    const struct option *cursor = command_option(cmd, OPT_ID_CURSOR);
    struct cgroup_row row = {0};
    struct key key = key_cgroup(cmd->pos[0]);
    l->begun = true;
    if (!leases_read_cursor(l, cursor)) {
        char text[80];
        text_quote(cursor->v, 60, text, sizeof(text));
        reply_error(reply, ST_ERR, "CURSOR '%s' is none: send 0, then the cursor of the last reply", text);
        return ST_ERR;
    }
    gather_begin(&l->g, &v->steps->items, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), v->reply_most);
    enum status s = view_get(v, &key);
    if (s == ST_OK && cgroup_decode(buf_slice(&v->row), &row) != ST_OK)
        s = view_damaged(v, &key);
    l->below = row.below;
    if (s != ST_OK || row.topics == 0)
        return s == ST_OK ? ST_GONE : s;
    if (cmd->n_pos == 1)
        return ST_OK;
    key = key_group(cmd->pos[0], cmd->pos[1]);
    s = view_get(v, &key);
    if (s == ST_GONE)
        reply_error(reply, ST_NOGROUP, "the group is not on this topic");
    return s == ST_GONE ? ST_ERR : s;
}

static void leases_put(struct leases *l, const struct run_row *run, uint64_t offset)
{
    struct buf *r = l->g.items;
    reply_map(r, 3);
    reply_bulk_str(r, "receipt");
    reply_receipt(r, slice_of(l->topic, l->topic_len), l->queue, offset, run->attempt);
    reply_field_int(r, "lease_until", run->due_ms);
    reply_bulk_str(r, "consumer");
    if (run->holder)
        reply_bulk_uint(r, run->holder);
    else
        reply_null(r);
    l->g.n++;
}

/* Is the message leased? What was purged, went by retention or was moved by SEEK is not. */
static bool leases_has(const struct view *v, const struct leases *l, const struct run_row *run, uint32_t i)
{
    uint64_t offset = l->base + i;
    bool bit = run->bits[i / 64] >> (i % 64) & 1;
    bool is_void = offset < l->cursor.again[l->queue] && run_is_void(l->cursor.again_base[l->queue], run->attempt, run->delivered);
    return bit && !is_void && l->queue < v->topic.n_queues && offset >= v->topic.floor[l->queue];
}

/* The messages of a run from l->index on. ST_BUSY: the page is full, and there may be more. */
static enum status leases_of_run(struct view *v, struct leases *l, const struct kv_iter *it)
{
    struct run_row run;
    struct slice key = kv_iter_key(it);
    if (key.len != 21 || run_decode(kv_iter_value(it), &run) != ST_OK)
        return kv_damaged_row(v->kv, key);
    uint32_t queue = key_read_u32(key.data + 9);
    uint64_t base = key_read_u64(key.data + 13);
    if (queue != l->queue || base != l->base)
        l->index = 0;
    l->queue = queue;
    l->base = base;
    for (; l->index < run.count && run.due_ms > v->now_ms && queue < QUEUES_MAX; l->index++) {
        if (gather_full(&l->g))
            return ST_BUSY;
        if (leases_has(v, l, &run, l->index))
            leases_put(l, &run, base + l->index);
    }
    return ST_OK;
}

/* The runs of a gt from l->queue and l->base on. ST_BUSY: the page or the budget is at its end. */
static enum status leases_of_gt(struct view *v, struct leases *l, uint64_t gt)
{
    struct key from = key_run(gt, l->queue, l->base), all = key_of_id('R', gt), to = key_after(&all);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&from), key_slice(&to));
    enum status s = it ? ST_OK : ST_NOMEM;
    if (it)
        kv_iter_first(it);
    while (s == ST_OK && kv_iter_valid(it)) {
        s = leases_of_run(v, l, it);
        view_spend(v, kv_iter_value(it).len);
        if (s != ST_OK)
            break;
        kv_iter_next(it);
        l->index = COUNT_MAX; /* behind this run */
        if (v->budget-- <= 0)
            s = ST_BUSY;
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

/* Reads what must be known of a gt. ST_GONE: it has no leases. */
static enum status leases_look(struct view *v, struct leases *l, struct slice topic, const struct group_row *row)
{
    struct key key = key_cursor(row->id);
    enum status s = row->id < l->below ? ST_GONE : view_topic(v, topic);
    if (s == ST_OK && v->topic.id != row->topic_id)
        s = ST_GONE;
    if (s == ST_OK)
        s = view_get(v, &key);
    if (s == ST_OK && cursor_decode(buf_slice(&v->row), &l->cursor) != ST_OK)
        s = view_damaged(v, &key);
    for (uint32_t q = s == ST_OK ? l->cursor.n_queues : 0; q < QUEUES_MAX; q++)
        l->cursor.again[q] = 0;
    return s == ST_OK && (l->cursor.purges != v->topic.purges || l->cursor.leased_runs == 0) ? ST_GONE : s;
}

static enum status leases_walk(struct view *v, struct leases *l, const struct command *cmd)
{
    bool one = cmd->n_pos > 1;
    struct key prefix = key_group_prefix(cmd->pos[0]);
    struct key from = key_group(cmd->pos[0], one ? cmd->pos[1] : slice_of(l->topic, l->topic_len)), to = key_after(&prefix);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&from), key_slice(&to));
    enum status s = it ? ST_OK : ST_NOMEM;
    struct group_row row;
    if (it)
        kv_iter_first(it);
    while (s == ST_OK && kv_iter_valid(it)) {
        struct slice key = kv_iter_key(it), topic = slice_of(key.data + prefix.len, key.len - prefix.len);
        if (one && !slice_equal(topic, cmd->pos[1]))
            break;
        if (!slice_equal(topic, slice_of(l->topic, l->topic_len)))
            s = leases_go_to(l, topic, 0, 0, 0) ? ST_OK : ST_DAMAGED;
        if (s == ST_OK && group_decode(kv_iter_value(it), &row) != ST_OK)
            s = kv_damaged_row(v->kv, key);
        if (s == ST_OK && v->budget-- <= 0)
            s = ST_BUSY;
        if (s == ST_OK)
            s = leases_look(v, l, topic, &row);
        if (s == ST_OK)
            s = leases_of_gt(v, l, row.id);
        s = s == ST_GONE ? ST_OK : s;
        if (s == ST_OK)
            kv_iter_next(it);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    if (s == ST_OK)
        l->topic_len = 0; /* the end */
    kv_iter_free(it);
    return s;
}

static void leases_put_cursor(const struct leases *l, struct buf *reply)
{
    if (l->topic_len == 0)
        reply_bulk_uint(reply, 0);
    else
        reply_receipt(reply, slice_of(l->topic, l->topic_len), l->queue, l->base, l->index + 1);
}

void query_group_leases(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct leases *l = steps_own(v, sizeof(*l));
    enum status s = l ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !l->begun)
        s = leases_begin(v, l, cmd, reply);
    if (s == ST_ERR)
        return;
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        s = leases_walk(v, l, cmd);
        if (s == ST_BUSY && gather_full(&l->g))
            s = ST_OK;
        if (s == ST_OK) {
            reply_array(reply, 2);
            leases_put_cursor(l, reply);
        }
    }
    if (s == ST_OK)
        s = steps_put(v, l->g.n, reply);
    steps_end(v, s, reply, s == ST_GONE ? "group" : "store", cmd->pos[0]);
}
