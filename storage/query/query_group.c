/* query_group.c: GROUP INFO, GROUP LIST and LAG. */
#include "storage/query/handlers.h"

#include "storage/query/lag.h"

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
}

static void group_put(struct view *v, struct buf *r, const struct standing *st, bool info)
{
    reply_map(r, info ? 12 : 8);
    group_put_lag(v, r, st);
    if (!info)
        return;
    reply_field_int(r, "created", st->row.created_ms);
    reply_field_int(r, "lease", st->row.lease_ms);
    reply_field_int(r, "attempts", st->row.attempts);
    reply_bulk_str(r, "backoff");
    reply_array(r, st->row.n_backoff);
    for (uint32_t i = 0; i < st->row.n_backoff; i++)
        reply_int(r, st->row.backoff_ms[i]);
}

/* Writes all groups whose row has the prefix, as an array of maps. ST_GONE: there are none. */
static enum status group_put_all(struct view *v, const struct key *prefix, bool info, struct buf *reply)
{
    struct kv_iter *it = view_rows(v, prefix);
    if (!it)
        return ST_NOMEM;
    struct buf items;
    buf_init(&items, REPLY_BYTES_MAX);
    enum status s = ST_OK;
    uint32_t n = 0;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct standing st;
        s = lag_read(v, kv_iter_key(it), kv_iter_value(it), &st);
        if (s != ST_OK)
            break;
        group_put(v, &items, &st, info);
        n++;
    }
    if (s == ST_OK)
        s = items.failed ? ST_NOMEM : kv_iter_status(it);
    kv_iter_free(it);
    if (s == ST_OK && n == 0)
        s = ST_GONE;
    if (s == ST_OK) {
        reply_array(reply, n);
        buf_put_slice(reply, buf_slice(&items));
    }
    buf_free(&items);
    return s;
}

void query_group_info(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)hint;
    struct key prefix = key_group_prefix(cmd->pos[0]);
    enum status s = group_put_all(v, &prefix, true, reply);
    if (s != ST_OK)
        view_refuse(reply, s, "group", cmd->pos[0]);
}

void query_lag(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct key prefix;
    key_begin(&prefix, 'G');
    if (cmd->n_pos > 0)
        prefix = key_group_prefix(cmd->pos[0]);
    enum status s = group_put_all(v, &prefix, false, reply);
    if (s == ST_GONE && cmd->n_pos == 0)
        reply_array(reply, 0);
    else if (s != ST_OK)
        view_refuse(reply, s, "group", cmd->n_pos ? cmd->pos[0] : slice_of(NULL, 0));
}

void query_group_list(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint)
{
    (void)cmd;
    (void)hint;
    struct key prefix;
    key_begin(&prefix, 'G');
    struct kv_iter *it = view_rows(v, &prefix);
    struct buf items;
    buf_init(&items, REPLY_BYTES_MAX);
    struct key last = {.len = 0};
    uint32_t n = 0;
    for (it ? kv_iter_first(it) : (void)0; it && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        size_t len = strnlen((const char *)key.data + 1, key.len - 1);
        struct slice group = slice_of(key.data + 1, len);
        if (last.len && slice_equal(group, key_slice(&last)))
            continue;
        last.len = 0;
        key_bytes(&last, group);
        reply_bulk(&items, group);
        n++;
    }
    enum status s = !it || items.failed ? ST_NOMEM : kv_iter_status(it);
    kv_iter_free(it);
    if (s == ST_OK) {
        reply_array(reply, n);
        buf_put_slice(reply, buf_slice(&items));
    } else {
        view_refuse(reply, s, "store", slice_of(NULL, 0));
    }
    buf_free(&items);
}
