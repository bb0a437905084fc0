/* lag_topic.c: reads what lags need of topics, and remembers it (lag_topic.h). */
#include "storage/query/lag_topic.h"

void lag_topics_init(struct lag_topics *ts)
{
    buf_init(&ts->columns_row, 0);
    buf_init(&ts->wanted, 0);
    columns_maker_init(&ts->maker);
}

void lag_topics_pause(struct lag_topics *ts)
{
    directory_close(&ts->d);
    kv_iter_free(ts->expiries);
    kv_iter_free(ts->classes);
    ts->expiries = ts->classes = NULL;
    buf_free(&ts->columns_row);
    buf_free(&ts->wanted);
    columns_maker_free(&ts->maker);
}

static enum status topic_directory(struct view *v, struct lag_topics *ts, uint64_t topic, enum compress compress)
{
    if (!ts->d.it && !directory_open(&ts->d, v->kv, v->snap, topic, compress))
        return ST_NOMEM;
    if (ts->d.topic != topic)
        directory_turn(&ts->d, topic, compress);
    return ST_OK;
}

/* Finds the end of a queue of v->topic. */
static enum status topic_end(struct view *v, struct lag_topics *ts, uint32_t queue, uint64_t *ret_end)
{
    struct record_info last;
    enum status s = directory_last(&ts->d, queue, &last);
    *ret_end = v->topic.floor[queue];
    if (s == ST_OK && last.base + last.count > *ret_end)
        *ret_end = last.base + last.count;
    v->budget--;
    return s == ST_GONE ? ST_OK : s;
}

/* Room for v->topic; all others are forgotten where there is none. */
static struct lag_topic *topic_new_place(struct lag_topics *ts, const struct view *v, struct slice name)
{
    if (ts->n_topics == LAG_TOPICS_MAX || ts->n_queues + v->topic.n_queues > LAG_QUEUES_MAX)
        ts->n_topics = ts->n_queues = 0;
    struct lag_topic *t = &ts->topics[ts->n_topics];
    memcpy(t->name, name.data, name.len);
    t->name_len = name.len;
    t->id = v->topic.id;
    t->purges = v->topic.purges;
    t->compress = v->topic.compress;
    t->flags = v->topic.flags;
    t->n_queues = v->topic.n_queues;
    t->classes = v->topic.classes;
    t->queues_at = ts->n_queues;
    return t;
}

enum status lag_topic(struct view *v, struct lag_topics *ts, struct slice name, struct lag_topic **ret_t)
{
    for (uint32_t i = 0; i < ts->n_topics; i++) {
        *ret_t = &ts->topics[i];
        if (slice_equal(slice_of((*ret_t)->name, (*ret_t)->name_len), name))
            return ST_OK;
    }
    if (name.len > SYSTEM_NAME_BYTES_MAX)
        return ST_GONE;
    enum status s = view_topic(v, name);
    if (s == ST_OK)
        s = topic_directory(v, ts, v->topic.id, v->topic.compress);
    if (s != ST_OK)
        return s;
    struct lag_topic *t = topic_new_place(ts, v, name);
    for (uint32_t q = 0; q < t->n_queues && s == ST_OK; q++) {
        struct lag_queue *lq = lag_queue_of(ts, t, q);
        *lq = (struct lag_queue){.first = v->topic.floor[q], .first_stored_ms = INT64_MIN};
        lq->ttl.at = UINT64_MAX;
        s = topic_end(v, ts, q, &lq->end);
    }
    if (s != ST_OK)
        return s;
    ts->n_topics++;
    ts->n_queues += t->n_queues;
    *ret_t = t;
    return ST_OK;
}

enum status lag_topic_messages(struct view *v, struct lag_topics *ts, struct slice name, uint64_t *ret_n)
{
    *ret_n = 0;
    enum status s = view_topic(v, name);
    if (s == ST_OK)
        s = topic_directory(v, ts, v->topic.id, v->topic.compress);
    for (uint32_t q = 0; s == ST_OK && q < v->topic.n_queues; q++) {
        uint64_t end = 0;
        s = topic_end(v, ts, q, &end);
        *ret_n += end - v->topic.floor[q];
    }
    if (s == ST_OK)
        *ret_n -= v->topic.removed < *ret_n ? v->topic.removed : *ret_n;
    return s == ST_GONE ? ST_OK : s;
}

/* Finds the record that holds an offset, and remembers it as the last one that was asked for. */
static enum status topic_find_record(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                            uint64_t offset, struct record_info *ret_info)
{
    struct lag_queue *q = lag_queue_of(ts, t, queue);
    if (offset < q->first || offset >= q->end)
        return ST_GONE;
    enum status s = topic_directory(v, ts, t->id, t->compress);
    if (s == ST_OK)
        s = directory_find(&ts->d, queue, offset, ret_info);
    v->budget--;
    if (s != ST_OK)
        return s;
    q->base = ret_info->base;
    q->count = ret_info->count;
    q->stored_ms = ret_info->stored_ms;
    return ST_OK;
}

enum status lag_record(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t offset,
                       struct record_info *ret_info)
{
    enum status s = topic_directory(v, ts, t->id, t->compress);
    v->budget--;
    return s == ST_OK ? directory_find(&ts->d, queue, offset, ret_info) : s;
}

/* Makes the columns of a record from its messages. */
static enum status topic_columns_of_record(struct view *v, struct lag_topics *ts, const struct lag_topic *t,
                                           uint32_t queue, const struct record_info *info, struct columns *ret_c)
{
    struct record_header h = {0};
    struct kv_iter *it = records_iter(v->kv, v->snap, t->compress, t->id, queue);
    if (!it)
        return ST_NOMEM;
    columns_maker_reset(&ts->maker, 0);
    enum status s = records_seek(it, t->id, queue, info->base, &h);
    for (uint32_t i = 0; s == ST_OK && h.base == info->base && i < h.count && i < info->count; i++) {
        struct message m;
        if (record_message(kv_iter_value(it), &h, i, &m) == ST_OK)
            columns_add(&ts->maker, i, &m);
    }
    kv_iter_free(it);
    *ret_c = columns_made(&ts->maker, info->count);
    if (!columns_whole(&ts->maker))
        return ST_NOMEM;
    return s == ST_GONE || s == ST_DAMAGED ? ST_OK : s;
}

enum status lag_columns(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                        const struct record_info *info, struct columns *ret_c)
{
    struct key key = key_directory(t->id, queue, info->base);
    *ret_c = (struct columns){0};
    if (!info->columns)
        return ST_OK;
    buf_reset(&ts->columns_row, KIB(64));
    enum status s = kv_get(v->kv, KV_STATE, v->snap, key_slice(&key), &ts->columns_row);
    v->budget--;
    if (s == ST_OK)
        s = directory_columns(buf_slice(&ts->columns_row), info->count, ret_c);
    bool damaged = s == ST_BAD || s == ST_GONE || s == ST_DAMAGED;
    return damaged ? topic_columns_of_record(v, ts, t, queue, info, ret_c) : s;
}

struct kv_iter *lag_classes(struct view *v, struct lag_topics *ts)
{
    struct key all;
    key_begin(&all, 'F');
    if (!ts->classes)
        ts->classes = view_rows(v, &all);
    return ts->classes;
}

enum status lag_stored(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t offset,
                       int64_t unless, int64_t *ret_ms)
{
    struct lag_queue *q = lag_queue_of(ts, t, queue);
    struct record_info info;
    enum status s = ST_OK;
    if (q->first_stored_ms == INT64_MIN) {
        s = topic_find_record(v, ts, t, queue, q->first, &info);
        if (s != ST_OK)
            return s;
        q->first_stored_ms = info.stored_ms;
    }
    *ret_ms = INT64_MAX;
    if (q->first_stored_ms >= unless)
        return ST_OK; /* and so was everything behind it */
    if (offset < q->base || offset - q->base >= q->count)
        s = topic_find_record(v, ts, t, queue, offset, &info);
    if (s == ST_OK)
        *ret_ms = q->stored_ms;
    return s;
}

/* The first of messages at..to-1 that is live; bits begin at from; NULL: all are. to: none is. */
static uint64_t topic_next_live(const uint64_t *bits, uint64_t from, uint64_t at, uint64_t to)
{
    while (bits && at < to && !((bits[(at - from) / 64] >> ((at - from) % 64)) & 1))
        at++;
    return at;
}

enum status lag_expired_of(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t from,
                           uint64_t to, const uint64_t *bits, uint64_t *ret_n, uint64_t *ret_first)
{
    struct key all, begin = key_expiry(t->id, queue, from), end = key_expiry(t->id, queue, to);
    key_begin(&all, 'E');
    if (!ts->expiries)
        ts->expiries = view_rows(v, &all);
    if (!ts->expiries)
        return ST_NOMEM;
    uint64_t first = topic_next_live(bits, from, from, to);
    *ret_n = 0;
    for (kv_iter_seek(ts->expiries, key_slice(&begin)); kv_iter_valid(ts->expiries); kv_iter_next(ts->expiries)) {
        struct slice key = kv_iter_key(ts->expiries);
        if (key.len != end.len || memcmp(key.data, end.bytes, end.len) >= 0)
            break;
        v->budget--;
        struct cursor c = cursor_of(kv_iter_value(ts->expiries));
        uint64_t offset = key_read_u64(key.data + key.len - 8);
        if ((int64_t)cursor_u64(&c) > v->now_ms)
            continue;
        *ret_n += topic_next_live(bits, from, offset, offset + 1) == offset;
        if (first == offset)
            first = topic_next_live(bits, from, offset + 1, to);
    }
    *ret_first = first;
    return kv_iter_status(ts->expiries);
}

/* Counts what has expired of one record from e->at on. */
static enum status topic_record_expired(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                                      const struct record_info *info, struct lag_expiry *e)
{
    uint64_t to = info->base + info->count, expired = 0, first = e->at;
    enum status s = ST_OK;
    if (info->expires_most <= v->now_ms)
        expired = to - e->at;
    else if (info->expires_least <= v->now_ms)
        s = lag_expired_of(v, ts, t, queue, e->at, to, NULL, &expired, &first);
    if (s != ST_OK)
        return s;
    if (expired < to - e->at && e->oldest_ms == INT64_MAX) /* some message of it has not */
        e->oldest_ms = info->stored_ms;
    e->expired += expired;
    e->at = to;
    return ST_OK;
}

enum status lag_expired(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue,
                        struct lag_expiry *e)
{
    const struct lag_queue *q = lag_queue_of(ts, t, queue);
    struct record_info info;
    if (e->at >= q->end)
        return ST_OK;
    enum status s = topic_find_record(v, ts, t, queue, e->at, &info);
    while (s == ST_OK) {
        if (info.base > e->at) { /* lost records count as gone */
            e->expired += info.base - e->at;
            e->at = info.base;
        }
        s = topic_record_expired(v, ts, t, queue, &info, e);
        if (s != ST_OK || e->at >= q->end)
            return s;
        if (v->budget-- <= 0)
            return ST_BUSY;
        s = directory_find(&ts->d, queue, e->at, &info);
    }
    return s;
}

static uint64_t topic_bits(const struct run_row *run, uint64_t *ret_first)
{
    uint64_t n = 0, first = run->count;
    for (uint32_t w = 0; w < (run->count + 63) / 64; w++) {
        n += (uint64_t)__builtin_popcountll(run->bits[w]);
        if (run->bits[w] && first == run->count)
            first = w * 64UL + (uint64_t)__builtin_ctzll(run->bits[w]);
    }
    *ret_first = first;
    return n;
}

enum status lag_live(struct view *v, struct lag_topics *ts, const struct lag_topic *t, uint32_t queue, uint64_t base,
                     const struct run_row *run, uint64_t *ret_n, uint64_t *ret_first)
{
    uint64_t first = 0, expired = 0;
    *ret_n = topic_bits(run, &first);
    *ret_first = base + first;
    if (!(t->flags & TOPIC_HAS_TTL) || *ret_n == 0 || queue >= t->n_queues)
        return ST_OK;
    struct record_info info;
    enum status s = topic_find_record(v, ts, t, queue, base, &info);
    bool in_one = s == ST_OK && base - info.base + run->count <= info.count && base >= info.base;
    if (in_one && info.expires_least > v->now_ms)
        return ST_OK;
    if (s == ST_OK || s == ST_GONE)
        s = lag_expired_of(v, ts, t, queue, base, base + run->count, run->bits, &expired, ret_first);
    *ret_n -= expired;
    return s;
}
