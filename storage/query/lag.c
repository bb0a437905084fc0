/* lag.c: counts the messages that a group has not finished on a topic, from its rows (lag.h). */
#include "storage/query/lag.h"

static enum status lag_oldest(struct view *v, struct lag *lag, uint32_t queue, uint64_t offset)
{
    struct kv_iter *it = view_log(v, queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h;
    enum status s = records_seek(it, v->topic.id, queue, offset, &h);
    if (s == ST_OK && h.stored_ms < lag->oldest_ms)
        lag->oldest_ms = h.stored_ms;
    kv_iter_free(it);
    return s == ST_GONE ? ST_OK : s;
}

/* Counts expired messages in [from, to). *ret_first: the first offset that has not expired. */
static enum status lag_expired(struct view *v, uint32_t queue, uint64_t from, uint64_t to, uint64_t *ret_n,
                               uint64_t *ret_first)
{
    *ret_n = 0;
    *ret_first = from;
    if (!(v->topic.flags & TOPIC_HAS_TTL))
        return ST_OK;
    struct key a = key_expiry(v->topic.id, queue, from), b = key_expiry(v->topic.id, queue, to);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&a), key_slice(&b));
    if (!it)
        return ST_NOMEM;
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it)) {
        struct cursor c = cursor_of(kv_iter_value(it));
        struct slice key = kv_iter_key(it);
        if ((int64_t)cursor_u64(&c) > v->now_ms)
            continue;
        ++*ret_n;
        *ret_first += key_read_u64(key.data + key.len - 8) == *ret_first;
    }
    enum status s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

static enum status lag_fresh(struct view *v, struct standing *st)
{
    for (uint32_t q = 0; q < v->topic.n_queues; q++) {
        uint64_t first = 0, end = 0, expired = 0, oldest = 0;
        enum status s = view_ends(v, q, &first, &end);
        uint64_t next = q < st->cursor.n_queues ? st->cursor.next[q] : 0;
        next = next < first ? first : next;
        if (s == ST_OK && next < end)
            s = lag_expired(v, q, next, end, &expired, &oldest);
        if (s == ST_OK && next < end && end - next > expired)
            s = lag_oldest(v, &st->lag, q, oldest);
        if (s != ST_OK)
            return s;
        st->lag.ready += next < end ? end - next - expired : 0;
    }
    return ST_OK;
}

/* Counts the live messages of a run that have not expired. *ret_first: the first of them. */
static enum status lag_run_live(struct view *v, const struct run_row *run, uint32_t queue, uint64_t base,
                                uint64_t *ret_n, uint64_t *ret_first)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        if (!((run->bits[i / 64] >> (i % 64)) & 1))
            continue;
        uint64_t expired = 0, first = 0;
        enum status s = lag_expired(v, queue, base + i, base + i + 1, &expired, &first);
        if (s != ST_OK)
            return s;
        if (n == 0)
            *ret_first = base + i;
        n += 1 - expired;
    }
    *ret_n = n;
    return ST_OK;
}

static enum status lag_run(struct view *v, struct lag *lag, const struct run_row *run, uint32_t queue,
                           uint64_t base, uint32_t *oldest_of)
{
    uint64_t live = 0, first = base;
    enum status s = lag_run_live(v, run, queue, base, &live, &first);
    if (s == ST_OK && live && *oldest_of != queue) {
        *oldest_of = queue; /* runs are read in order, so those behind it are younger */
        s = lag_oldest(v, lag, queue, first);
    }
    if (s != ST_OK)
        return s;
    if (run->due_ms <= v->now_ms)
        lag->ready += live;
    else if (run->state == RUN_LEASED)
        lag->inflight += live;
    else
        lag->delayed += live;
    return ST_OK;
}

/* Counts the runs of a kind of rows: R leased, V waiting ones, whose due time stands before their place. */
static enum status lag_runs(struct view *v, struct standing *st, char kind)
{
    struct key prefix = key_of_id(kind, st->row.id);
    struct kv_iter *it = view_rows(v, &prefix);
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    uint32_t oldest_of = UINT32_MAX; /* the queue whose oldest message was read last */
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct run_row run;
        const uint8_t *place = kv_iter_key(it).data + prefix.len + (kind == 'V' ? 8 : 0);
        s = run_decode(kv_iter_value(it), &run);
        if (s != ST_OK)
            break;
        s = lag_run(v, &st->lag, &run, key_read_u32(place), key_read_u64(place + 4), &oldest_of);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s == ST_BAD ? ST_IO : s;
}

static enum status lag_dead(struct view *v, struct standing *st)
{
    uint8_t name[NAME_BYTES_MAX + 8] = "%DLQ%";
    memcpy(name + 5, st->group.data, st->group.len);
    enum status s = view_topic(v, slice_of(name, st->group.len + 5));
    for (uint32_t q = 0; s == ST_OK && q < v->topic.n_queues; q++) {
        uint64_t first = 0, next = 0;
        s = view_ends(v, q, &first, &next);
        st->lag.dead += next - first;
    }
    return s == ST_GONE ? ST_OK : s;
}

enum status lag_read(struct view *v, struct slice key, struct slice value, struct standing *st)
{
    const uint8_t *zero = memchr(key.data + 1, 0, key.len - 1);
    if (!zero || group_decode(value, &st->row) != ST_OK)
        return ST_IO;
    st->group = slice_of(key.data + 1, (size_t)(zero - key.data) - 1);
    st->topic = slice_of(zero + 1, (size_t)(key.data + key.len - zero) - 1);
    st->lag = (struct lag){.oldest_ms = INT64_MAX};
    struct key cursor = key_cursor(st->row.id);
    enum status s = view_get(v, &cursor);
    if (s == ST_OK)
        s = cursor_decode(buf_slice(&v->row), &st->cursor);
    if (s == ST_OK)
        s = lag_dead(v, st);
    if (s == ST_OK)
        s = view_topic(v, st->topic);
    if (s == ST_OK)
        s = lag_fresh(v, st);
    if (s == ST_OK)
        s = lag_runs(v, st, 'R');
    if (s == ST_OK)
        s = lag_runs(v, st, 'V');
    return s == ST_OK || s == ST_NOMEM ? s : ST_IO;
}
