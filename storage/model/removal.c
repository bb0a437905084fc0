/* removal.c: removes messages of a queue one by one, and raises its floor over them (removal.h). */
#include "storage/model/removal.h"

#include "storage/model/cut_rows.h"
#include "storage/model/log.h"
#include "storage/model/tail.h"

void removal_begin(struct removal *r, struct state *st, struct topic *t, uint32_t queue)
{
    *r = (struct removal){
        .st = st, .topic = t, .queue = queue, .floor = t->queues[queue].floor, .rows_left = REMOVAL_ROWS_MAX};
}

/* Reads a row d; one that is not there has no bits. */
static enum status removal_read(struct state *st, const struct topic *t, uint32_t queue, uint64_t n,
                                struct removed_row *ret_row)
{
    struct key key = key_removed(t->id, queue, n);
    *ret_row = (struct removed_row){0};
    if (!(t->flags & TOPIC_HAS_REMOVED))
        return ST_OK;
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s == ST_OK && removed_decode(buf_slice(&st->scratch2), ret_row) != ST_OK)
        return core_bad_row(st, &key);
    return s == ST_GONE ? ST_OK : s;
}

static bool removal_bit(const struct removed_row *row, uint64_t offset)
{
    uint64_t i = offset % REMOVED_BITS;
    return (row->bits[i / 64] >> (i % 64)) & 1;
}

enum status removal_has(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset, bool *ret_removed)
{
    struct removed_row row;
    enum status s = removal_read(st, t, queue, offset / REMOVED_BITS, &row);
    *ret_removed = s == ST_OK && removal_bit(&row, offset);
    return s;
}

static void removal_put(struct removal *r)
{
    struct state *st = r->st;
    if (!r->changed)
        return;
    r->changed = false;
    struct key key = key_removed(r->topic->id, r->queue, r->n);
    buf_reset(&st->scratch2, KIB(64));
    removed_encode(&st->scratch2, &r->row);
    overlay_put(&st->overlay, &key, core_row(st));
}

/* Makes the row of an offset the one at hand. */
static enum status removal_row(struct removal *r, uint64_t offset)
{
    uint64_t n = offset / REMOVED_BITS;
    if (r->known && r->n == n)
        return ST_OK;
    if (r->rows_left == 0)
        return ST_BUSY;
    r->rows_left--;
    removal_put(r);
    enum status s = removal_read(r->st, r->topic, r->queue, n, &r->row);
    r->known = s == ST_OK;
    r->n = n;
    return s;
}

/* The first offset at or behind this one, within its row, that is not set; or the first one behind the row. */
static uint64_t removal_clear_bit(const struct removal *r, uint64_t offset)
{
    uint64_t end = (r->n + 1) * REMOVED_BITS;
    while (offset < end) {
        uint64_t i = offset % REMOVED_BITS, clear = ~r->row.bits[i / 64] >> (i % 64);
        if (clear)
            return offset + (uint64_t)__builtin_ctzll(clear);
        offset += 64 - i % 64;
    }
    return offset;
}

enum status removal_next(struct removal *r, uint64_t *offset)
{
    uint64_t end = r->topic->queues[r->queue].end;
    if (*offset < r->floor)
        *offset = r->floor;
    while (*offset < end) {
        enum status s = removal_row(r, *offset);
        if (s != ST_OK)
            return s;
        uint64_t at = removal_clear_bit(r, *offset);
        bool found = at / REMOVED_BITS == *offset / REMOVED_BITS;
        *offset = at < end ? at : end;
        if (found)
            return at < end ? ST_OK : ST_GONE;
    }
    return ST_GONE;
}

enum status removal_take(struct removal *r, uint64_t offset)
{
    struct topic *t = r->topic;
    if (offset == r->floor) {
        r->floor++;
        return ST_OK;
    }
    enum status s = removal_row(r, offset);
    if (s != ST_OK)
        return s;
    assert(!removal_bit(&r->row, offset));
    r->row.bits[offset % REMOVED_BITS / 64] |= UINT64_C(1) << (offset % 64);
    r->changed = true;
    t->flags |= TOPIC_HAS_REMOVED;
    t->removed++;
    topic_touch(r->st, t);
    return ST_OK;
}

/* Raises r->floor over the bits that are set there. */
static void removal_rise(struct removal *r)
{
    struct topic *t = r->topic;
    uint64_t was = r->floor, at = was;
    if (!t->removed)
        return;
    enum status s = removal_next(r, &at);
    r->st->sick = r->st->sick || s == ST_NOMEM;
    if (s != ST_OK && s != ST_GONE && s != ST_BUSY)
        return;
    assert(at - was <= t->removed);
    r->floor = at;
    t->removed -= at - was;
}

/* Deletes the records that lie below the new floor altogether. Where they cannot be looked up now, they stay: nobody reads
 * them. */
static void removal_delete_records(struct removal *r)
{
    struct topic *t = r->topic;
    struct queue *q = &t->queues[r->queue];
    struct record_info first = {0}, kept = {0};
    if (q->tail && q->tail->base + q->tail->count <= r->floor)
        tail_flush(r->st, t); /* so that the record is put before it is deleted */
    enum status s = log_locate(r->st, t, r->queue, q->floor, &first);
    enum status next = s == ST_OK ? log_locate(r->st, t, r->queue, r->floor, &kept) : s;
    r->st->sick = r->st->sick || s == ST_NOMEM || next == ST_NOMEM;
    if (s != ST_OK || (next != ST_OK && next != ST_GONE))
        return;
    uint64_t keep = next == ST_OK && kept.base < r->floor ? kept.base : r->floor;
    uint64_t begin = first.total - first.bytes, end = next == ST_OK ? kept.total - kept.bytes : q->total;
    struct cut_range range = {.queue = r->queue,
                              .first = first.base < q->floor ? first.base : q->floor,
                              .keep = keep,
                              .floor = q->floor,
                              .at = r->floor,
                              .bytes = end > begin ? end - begin : 0};
    cut_rows(r->st, t, &range);
}

static void removal_delete_rows(const struct removal *r)
{
    const struct topic *t = r->topic;
    uint64_t end = r->floor / REMOVED_BITS + (t->removed == 0); /* the last one only has bits below the floor then */
    for (uint64_t n = t->queues[r->queue].floor / REMOVED_BITS; n < end; n++) {
        struct key key = key_removed(t->id, r->queue, n);
        overlay_del(&r->st->overlay, &key);
    }
}

void removal_end(struct removal *r)
{
    struct topic *t = r->topic;
    struct queue *q = &t->queues[r->queue];
    removal_rise(r);
    removal_put(r);
    if (r->floor == q->floor)
        return;
    if (t->flags & TOPIC_HAS_REMOVED)
        removal_delete_rows(r);
    removal_delete_records(r);
    q->floor = r->floor;
    t->cuts++;
    if (t->removed == 0)
        t->flags &= ~(uint32_t)TOPIC_HAS_REMOVED;
    if (q->floor == q->end) { /* as after a restart */
        q->total = q->before = 0;
        q->n_recent = q->recent_at = 0;
    }
    topic_touch(r->st, t);
}
