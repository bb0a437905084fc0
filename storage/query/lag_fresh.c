/* lag_fresh.c: counts what a group never got, by columns and by classes (lag_fresh.h). */
#include "storage/query/lag_fresh.h"

#include <stdlib.h>

#define COST_CLASS 8     /* of finding out about one class of a queue, in rows that are walked over */
#define COST_MESSAGES 64 /* so many messages that are looked at are as long as a row */

/* ---- cursors ---- */

enum status lag_fresh_cursors(struct view *v, const struct lag_topic *t, const struct group_row *row,
                              uint64_t (*ret_of_class)[QUEUES_MAX])
{
    enum status s = ST_OK;
    for (uint8_t c = 0; c < CLASSES_MAX && s == ST_OK; c++) {
        struct class_cursor_row cursor = {.n_queues = 0};
        struct key key = key_class_cursor(row->id, c);
        memset(ret_of_class[c], 0, sizeof(ret_of_class[c]));
        uint16_t classes = (uint16_t)(t->classes | (row->flags & GROUP_ORDERED ? CLASS_DEFAULT_BIT : 0));
        if (!(classes & (1U << c)) || !(row->flags & GROUP_RANKED))
            continue;
        s = view_get(v, &key);
        v->budget--;
        if (s == ST_OK && class_cursor_decode(buf_slice(&v->row), &cursor) != ST_OK)
            s = view_damaged(v, &key);
        if (s == ST_OK)
            memcpy(ret_of_class[c], cursor.next, cursor.n_queues * sizeof(cursor.next[0]));
        s = s == ST_GONE ? ST_OK : s;
    }
    return s;
}

static void lag_fresh_oldest(struct lag_fresh *f, int64_t stored_ms)
{
    f->oldest_ms = stored_ms < f->oldest_ms ? stored_ms : f->oldest_ms;
}

/* ---- by rows F ---- */

/* How many messages of the class are in the record before offset. */
static enum status fresh_class_inside(struct view *v, struct lag_topics *ts, const struct lag_fresh *f, uint8_t class,
                                    uint64_t base, uint64_t offset, const struct class_row *row, uint64_t *ret_n)
{
    struct record_info info;
    struct columns c;
    enum status s = lag_record(v, ts, f->t, f->queue, base, &info);
    *ret_n = row->count;
    bool inside = s == ST_OK && info.base == base && offset - base < info.count;
    if (!inside) /* its record was deleted, and the first one behind it may be damaged */
        return s == ST_GONE || s == ST_DAMAGED ? ST_OK : s;
    s = lag_columns(v, ts, f->t, f->queue, &info, &c);
    *ret_n = 0;
    for (uint32_t i = 0; s == ST_OK && i < offset - base; i++)
        *ret_n += columns_priority(&c, i) == class;
    return s;
}

/* How many messages of the class lie before offset, counted from where the rows begin to count. UINT64_MAX: all. */
static enum status fresh_class_before(struct view *v, struct lag_topics *ts, const struct lag_fresh *f, uint8_t class,
                                    uint64_t offset, uint64_t *ret_n)
{
    struct key at = key_class(f->t->id, f->queue, class, offset), first = key_class(f->t->id, f->queue, class, 0);
    struct class_row row;
    uint64_t inside = 0;
    struct kv_iter *it = lag_classes(v, ts);
    *ret_n = 0;
    if (!it)
        return ST_NOMEM;
    kv_iter_floor(it, key_slice(&at));
    bool before = kv_iter_valid(it) && kv_iter_key(it).len == at.len &&
                  memcmp(kv_iter_key(it).data, at.bytes, at.len - 8) == 0;
    if (!before)
        kv_iter_seek(it, key_slice(&first));
    bool some = kv_iter_valid(it) && kv_iter_key(it).len == at.len &&
                memcmp(kv_iter_key(it).data, at.bytes, at.len - 8) == 0;
    v->budget -= COST_CLASS;
    if (!some)
        return kv_iter_status(it);
    if (class_decode(kv_iter_value(it), &row) != ST_OK)
        return kv_damaged_row(v->kv, kv_iter_key(it));
    uint64_t base = key_read_u64(kv_iter_key(it).data + at.len - 8);
    enum status s = ST_OK;
    if (before && offset != UINT64_MAX)
        s = fresh_class_inside(v, ts, f, class, base, offset, &row, &inside);
    else if (before)
        inside = row.count;
    *ret_n = row.before + inside;
    return s;
}

/* Counts what is undelivered of one class that is not the default one; *ret_behind: those behind the default cursor. */
static enum status fresh_class(struct view *v, struct lag_topics *ts, struct lag_fresh *f, const struct lag_queue *q,
                             uint8_t class, uint64_t *ret_behind)
{
    uint64_t all = 0, delivered = 0, passed = 0, next = lag_fresh_from(f, q, class);
    enum status s = fresh_class_before(v, ts, f, class, UINT64_MAX, &all);
    if (s == ST_OK)
        s = fresh_class_before(v, ts, f, class, next, &delivered);
    if (s == ST_OK)
        s = fresh_class_before(v, ts, f, class, lag_fresh_from(f, q, MESSAGE_PRIORITY_DEFAULT), &passed);
    if (s != ST_OK)
        return s;
    *ret_behind = all > passed ? all - passed : 0;
    f->ready += all > delivered ? all - delivered : 0;
    int64_t stored = INT64_MAX;
    if (all > delivered && next < q->end)
        s = lag_stored(v, ts, f->t, f->queue, next, f->oldest_ms, &stored);
    lag_fresh_oldest(f, stored);
    return s == ST_GONE ? ST_OK : s;
}

static enum status fresh_classes_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f)
{
    const struct lag_queue *q = lag_queue_of(ts, f->t, f->queue);
    uint64_t next = lag_fresh_from(f, q, MESSAGE_PRIORITY_DEFAULT), others = 0, ready = f->ready;
    enum status s = ST_OK;
    if (v->budget <= 0)
        return ST_BUSY;
    for (uint8_t c = 0; c < CLASSES_MAX && s == ST_OK; c++) {
        uint64_t behind = 0;
        if (f->t->classes & (1U << c))
            s = fresh_class(v, ts, f, q, c, &behind);
        others += behind;
    }
    if (s != ST_OK) {
        f->ready = ready;
        return s;
    }
    uint64_t all = next < q->end ? q->end - next : 0;
    if (all <= others)
        return ST_OK;
    int64_t stored = INT64_MAX;
    f->ready += all - others;
    s = lag_stored(v, ts, f->t, f->queue, next, f->oldest_ms, &stored);
    lag_fresh_oldest(f, stored);
    return s == ST_GONE ? ST_OK : s;
}

/* ---- one message after the other ---- */

/* Which messages of a record the group is still to get, as far as columns tell. Returns how many. */
static uint64_t fresh_wanted(const struct lag_fresh *f, const struct lag_queue *q, const struct record_info *info,
                           const struct columns *c, const uint8_t *tags, uint64_t *bits)
{
    uint64_t n = 0, next[CLASSES_MAX];
    for (uint8_t k = 0; k < CLASSES_MAX; k++)
        next[k] = lag_fresh_from(f, q, k);
    memset(bits, 0, (info->count + 63) / 64 * sizeof(*bits));
    for (uint32_t i = 0; i < info->count; i++) {
        uint32_t tag = tags ? columns_tag(c, i) : 0;
        bool is = info->base + i >= next[columns_priority(c, i)] && (!tags || (tags[tag / 8] >> tag % 8 & 1));
        bits[i / 64] |= (uint64_t)is << i % 64;
        n += is;
    }
    return n;
}

/* Counts the messages of one record. */
static enum status fresh_walk_record(struct view *v, struct lag_topics *ts, struct lag_fresh *f,
                                   const struct record_info *info)
{
    const struct lag_queue *q = lag_queue_of(ts, f->t, f->queue);
    uint64_t bits[(RECORD_COUNT_MAX + 63) / 64], expired = 0, first = 0, n = 0;
    struct columns c;
    if (info->expires_most <= v->now_ms)
        return ST_OK;
    enum status s = lag_columns(v, ts, f->t, f->queue, info, &c);
    bool by_tag = f->row->filter_kind == FILTER_TAG;
    if (s == ST_OK && by_tag)
        s = columns_wanted(&c, f->row->filter, &ts->wanted);
    if (s != ST_OK)
        return s;
    n = fresh_wanted(f, q, info, &c, by_tag ? ts->wanted.data : NULL, bits);
    if (n && info->expires_least <= v->now_ms)
        s = lag_expired_of(v, ts, f->t, f->queue, info->base, info->base + info->count, bits, &expired, &first);
    if (s != ST_OK || n == expired)
        return s;
    f->ready += n - expired;
    lag_fresh_oldest(f, info->stored_ms);
    return ST_OK;
}

/* The first cursor of the queue. */
static uint64_t fresh_walk_from(const struct lag_fresh *f, const struct lag_queue *q)
{
    uint64_t from = UINT64_MAX;
    for (uint8_t c = 0; c < CLASSES_MAX; c++) {
        bool there = c == MESSAGE_PRIORITY_DEFAULT || f->t->classes & (1U << c);
        uint64_t next = lag_fresh_from(f, q, c);
        from = there && next < from ? next : from;
    }
    return from;
}

static enum status fresh_walk_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f)
{
    const struct lag_queue *q = lag_queue_of(ts, f->t, f->queue);
    struct record_info info;
    if (f->at == UINT64_MAX)
        f->at = fresh_walk_from(f, q);
    while (f->at < q->end && f->examined < LAG_EXAMINED_MAX) {
        if (v->budget <= 0)
            return ST_BUSY;
        enum status s = lag_record(v, ts, f->t, f->queue, f->at, &info);
        if (s == ST_OK)
            s = fresh_walk_record(v, ts, f, &info);
        if (s == ST_GONE || s == ST_DAMAGED) /* nobody knows where the next record begins */
            break;
        if (s != ST_OK)
            return s;
        v->budget -= (int32_t)(info.count / COST_MESSAGES);
        f->examined += info.count;
        f->at = info.base + info.count;
    }
    f->unexamined += f->at < q->end ? q->end - f->at : 0;
    f->at = UINT64_MAX;
    return ST_OK;
}

enum status lag_fresh_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f)
{
    return lag_fresh_walks(f->t, f->row) ? fresh_walk_queue(v, ts, f) : fresh_classes_queue(v, ts, f);
}
