/* query_group.c: GROUP INFO, GROUP LIST and LAG. */
#include "storage/query/handlers.h"

#include "storage/access/judge.h"
#include "storage/query/consumers.h"
#include "storage/query/lag.h"
#include "storage/query/base/steps.h"

static void group_put_lag(struct view *v, struct buf *r, const struct standing *st)
{
    const struct lag *lag = &st->lag;
    uint64_t all = lag->ready + lag->inflight + lag->delayed;
    int64_t age = all && lag->oldest_ms < v->now_ms ? v->now_ms - lag->oldest_ms : 0;
    reply_field_bytes(r, "group", st->group);
    reply_field_bytes(r, "topic", st->topic);
    reply_field_int(r, "ready", (int64_t)lag->ready);
    reply_field_int(r, "inflight", (int64_t)lag->inflight);
    reply_field_int(r, "delayed", (int64_t)lag->delayed);
    reply_field_int(r, "dead", (int64_t)lag->dead);
    reply_field_int(r, "lag", (int64_t)all);
    reply_field_int(r, "oldest_ms", age);
    if (lag->by_messages)
        reply_field_int(r, "unexamined", (int64_t)lag->unexamined);
}

#define GROUP_INFO_FIELDS 14 /* beside those of LAG */

/* How the group chooses messages, and what holds it back. */
static void group_put_choice(struct buf *r, const struct group_row *row, bool paused)
{
    static const char *const kinds[] = {[FILTER_NONE] = "none", [FILTER_TAG] = "tag", [FILTER_WHERE] = "where"};
    reply_bulk_str(r, "ordered");
    reply_bulk_str(r, row->flags & GROUP_ORDERED ? "yes" : "no");
    reply_bulk_str(r, "paused");
    reply_bulk_str(r, paused ? "yes" : "no");
    reply_field_int(r, "rate", row->rate);
    reply_field_int(r, "inflight_max", row->inflight);
    reply_bulk_str(r, "filter_kind");
    reply_bulk_str(r, kinds[row->filter_kind]);
    reply_field_bytes(r, "filter", row->filter);
}

/* How many of the messages that are ready nobody gets now, and why. */
static void group_put_held(struct buf *r, const struct view *v, const struct standing *st, bool paused)
{
    const struct lag *lag = &st->lag;
    uint64_t room = st->row.inflight > lag->inflight ? st->row.inflight - lag->inflight : 0;
    bool full = st->row.inflight && room < lag->ready, early = st->row.rate && st->cursor.rate_free_us > v->now_ms * 1000;
    uint64_t held = paused || early ? lag->ready : full ? lag->ready - room : 0;
    reply_field_int(r, "held", (int64_t)held);
    reply_bulk_str(r, "held_by");
    reply_bulk_str(r, !held ? "none" : paused ? "pause" : full ? "inflight" : "rate");
}

/* Of the pauses of the group on the topic and of the whole group, what was said last counts. */
static enum status group_is_paused(struct view *v, const struct standing *st, bool *ret_paused)
{
    struct cgroup_row row = {0};
    struct key key = key_cgroup(st->group);
    enum status s = view_get(v, &key);
    if (s == ST_OK && cgroup_decode(buf_slice(&v->row), &row) != ST_OK)
        s = view_damaged(v, &key);
    *ret_paused = st->row.pause_ref > row.pause_ref ? (st->row.flags & GROUP_PAUSED) != 0 : row.paused;
    return s == ST_GONE ? ST_OK : s;
}

static void group_put_settings(struct buf *r, const struct group_row *row)
{
    reply_field_int(r, "created", row->created_ms);
    reply_field_int(r, "lease", row->lease_ms);
    reply_field_int(r, "attempts", row->attempts);
    reply_bulk_str(r, "backoff");
    reply_array(r, row->n_backoff);
    for (uint32_t i = 0; i < row->n_backoff; i++)
        reply_int(r, row->backoff_ms[i]);
}

static enum status group_put(struct view *v, struct buf *r, const struct standing *st, bool info)
{
    bool paused = false;
    uint64_t listed = 0, leased = st->lag.inflight;
    size_t before = r->len;
    enum status s = info ? group_is_paused(v, st, &paused) : ST_OK;
    if (s != ST_OK)
        return s;
    reply_map(r, (info ? 8U + GROUP_INFO_FIELDS : 8U) + st->lag.by_messages);
    group_put_lag(v, r, st);
    if (!info)
        return ST_OK;
    group_put_settings(r, &st->row);
    group_put_choice(r, &st->row, paused);
    group_put_held(r, v, st, paused);
    reply_bulk_str(r, "consumers");
    s = consumers_put(v, st->row.id, r, &listed);
    reply_field_int(r, "unlisted", leased > listed ? (int64_t)(leased - listed) : 0);
    if (s != ST_OK)
        r->len = before;
    return s;
}

/* LAG shows a group on a topic to who may access both. key: of its row G. */
static bool group_is_seen(const struct view *v, struct slice key)
{
    size_t n = strnlen((const char *)key.data + 1, key.len - 1);
    struct slice group = slice_of(key.data + 1, n), topic = slice_of(key.data + n + 2, key.len - n - 2);
    return !v->user || (judge_group(v->user, group) && judge_topic(v->user, topic));
}

/* An item of LAG and of GROUP INFO (arg). */
static enum status group_item(struct view *v, const void *arg, struct kv_iter *it, struct buf *out)
{
    const bool *info = arg;
    if (!*info && !group_is_seen(v, kv_iter_key(it)))
        return ST_GONE;
    if (!v->steps->own)
        v->steps->own = lag_reader_new();
    if (!v->steps->own)
        return ST_NOMEM;
    const struct standing *st = NULL;
    enum status s = lag_there(v, v->steps->own, kv_iter_key(it), kv_iter_value(it));
    if (s != ST_OK || !out)
        return s;
    s = lag_read(v, v->steps->own, kv_iter_key(it), kv_iter_value(it), &st);
    return s == ST_OK ? group_put(v, out, st, *info) : s;
}

/* Writes all groups whose row has the prefix, as an array of maps. ST_GONE: there are none. */
static enum status group_put_all(struct view *v, const struct key *prefix, bool info, struct buf *reply)
{
    enum status s = steps_list(v, prefix, group_item, &info, reply);
    if (v->steps && v->steps->own)
        lag_pause(v->steps->own);
    return s;
}

void query_group_info(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)hint;
    struct key prefix = key_group_prefix(cmd->pos[0]);
    steps_end(v, group_put_all(v, &prefix, true, reply), reply, "group", cmd->pos[0]);
}

void query_lag(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct key prefix;
    key_begin(&prefix, 'G');
    if (cmd->n_pos > 0)
        prefix = key_group_prefix(cmd->pos[0]);
    enum status s = group_put_all(v, &prefix, false, reply);
    if (s == ST_GONE && cmd->n_pos == 0) {
        reply_array(reply, 0);
        s = ST_OK;
    }
    steps_end(v, s, reply, "group", cmd->n_pos ? cmd->pos[0] : slice_of(NULL, 0));
}

/* An item of GROUP LIST, from its row S. */
static enum status group_name(struct view *v, const void *arg, struct kv_iter *it, struct buf *out)
{
    (void)arg;
    struct slice key = kv_iter_key(it);
    struct cgroup_row row;
    if (cgroup_decode(kv_iter_value(it), &row) != ST_OK)
        return kv_damaged_row(v->kv, key);
    struct slice name = slice_of(key.data + 1, key.len - 1);
    if (v->user && !judge_group(v->user, name))
        return ST_GONE;
    if (row.topics == 0) /* it was deleted, and rows of it are left */
        return ST_GONE;
    if (out)
        reply_bulk(out, name);
    return ST_OK;
}

void query_group_list(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)cmd;
    (void)hint;
    struct key prefix;
    key_begin(&prefix, 'S');
    enum status s = steps_list(v, &prefix, group_name, NULL, reply);
    if (s == ST_GONE) {
        reply_array(reply, 0);
        s = ST_OK;
    }
    steps_end(v, s, reply, "store", slice_of(NULL, 0));
}
