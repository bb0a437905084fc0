/*
 * log.c: finds and reads messages of a queue for the writer (log.h). A record that the queue does not remember is looked
 * up in the store, with others behind it (storage/disk/finder.h).
 */
#include "storage/model/log.h"

#include "storage/disk/lost.h"
#include "storage/model/queue.h"
#include "storage/model/tail.h"

#define LOG_READ_SHARE 4 /* reading and checking a byte costs so much less than appending one */
#define CLASS_STEPS_MAX 256 /* records that are walked over in one look-up of a class */
#define LOST_MAX 64 /* records that cannot be read, passed in one look-up */

static struct lost_where log_where(struct state *st, const struct topic *t, uint32_t queue)
{
    return (struct lost_where){
        .kv = st->kv, .topic = t->id, .queue = queue, .compress = t->compress, .name = t->name};
}

static struct finder_queue log_queue(const struct topic *t, uint32_t queue)
{
    return (struct finder_queue){.topic = t->id, .queue = queue, .compress = t->compress};
}

/* Where the messages end that the store has: behind them are those of the open group. */
static uint64_t log_stored_end(const struct state *st, const struct queue *q)
{
    return q->fresh_group == st->group ? q->fresh_base : q->end;
}

static enum status log_locate_stored(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                                     struct record_info *ret_info)
{
    struct finder_queue fq = log_queue(t, queue);
    uint64_t end = log_stored_end(st, &t->queues[queue]);
    enum status s = finder_place(&st->finder, &fq, offset, end, ret_info);
    struct lost_where where = log_where(st, t, queue);
    for (int n = 0; s == ST_DAMAGED && n < LOST_MAX; n++) { /* neither its row nor the record can be read */
        uint64_t first = 0, last = 0;
        s = lost_find(&where, offset, &first, &last);
        offset = last + 1;
        if (s == ST_BAD)
            return ST_DAMAGED;
        if (s == ST_DAMAGED)
            s = finder_place(&st->finder, &fq, offset, end, ret_info);
    }
    return s;
}

enum status log_locate(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       struct record_info *ret_info)
{
    struct queue *q = &t->queues[queue];
    offset = offset < q->floor ? q->floor : offset;
    if (offset >= q->end)
        return ST_GONE;
    if (q->tail && offset >= q->tail->base) {
        *ret_info = tail_info(st, q->tail);
        return ST_OK;
    }
    const struct record_info *known = queue_recall(q, offset);
    if (known) {
        *ret_info = *known;
        return ST_OK;
    }
    /* More than RECENT_RECORDS_MAX records behind it are of the open group, and the store does not have it yet. */
    return queue_unwritten(st, q, offset) ? ST_BUSY : log_locate_stored(st, t, queue, offset, ret_info);
}

/* Where to look next behind a record without the class: the next record that is in memory, or that a row F names. */
static enum status log_class_skip(struct state *st, struct topic *t, uint32_t queue, uint8_t class,
                                const struct record_info *info, uint64_t *offset)
{
    const struct queue *q = &t->queues[queue];
    uint64_t behind = info->base + info->count, base = 0;
    uint64_t stored_end = log_stored_end(st, q);
    *offset = behind;
    if (behind >= stored_end || queue_recall(q, behind))
        return ST_OK;
    struct finder_queue fq = {.topic = t->id, .queue = queue, .compress = t->compress};
    enum status s = finder_class(&st->finder, &fq, class, behind, &base);
    if (s == ST_OK || s == ST_GONE)
        *offset = s == ST_OK && base < stored_end ? base : stored_end;
    return s == ST_GONE || s == ST_DAMAGED ? ST_OK : s; /* damaged: record by record */
}

enum status log_class_find(struct state *st, struct topic *t, uint32_t queue, uint8_t class, uint64_t from,
                         uint64_t *ret_offset, struct record_info *ret_info)
{
    uint64_t at = from;
    for (int i = 0; i < CLASS_STEPS_MAX; i++) {
        enum status s = log_locate(st, t, queue, at, ret_info);
        if (s != ST_OK)
            return s;
        at = at < ret_info->base ? ret_info->base : at;
        *ret_offset = at;
        if (ret_info->classes & (1U << class))
            return ST_OK;
        s = log_class_skip(st, t, queue, class, ret_info, &at);
        if (s != ST_OK)
            return s;
        if (at >= t->queues[queue].end)
            return ST_GONE;
    }
    return ST_OK; /* without the class; the caller goes on from there */
}

enum status log_read(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                     struct buf *hold, struct message *ret_m)
{
    struct queue *q = &t->queues[queue];
    if (offset < q->floor || offset >= q->end)
        return ST_GONE;
    if (q->tail && offset >= q->tail->base)
        return tail_read(q->tail, offset, st->now_ms, hold, ret_m);
    if (queue_unwritten(st, q, offset))
        return ST_BUSY;
    struct finder_queue fq = log_queue(t, queue);
    struct record_header h;
    struct slice record;
    const struct record_header held = st->finder.h; /* of the same queue or not: it only decides what is counted */
    enum status s = finder_record(&st->finder, &fq, offset, &h, &record);
    if (s == ST_OK && (h.base != held.base || h.count != held.count))
        core_worked(st, 0, record.len / LOG_READ_SHARE);
    struct message m;
    bool holds = s == ST_OK && offset >= h.base;
    if (s == ST_OK)
        s = holds && record_message(record, &h, (uint32_t)(offset - h.base), &m) == ST_OK ? ST_OK : ST_DAMAGED;
    if (s == ST_OK) { /* copies the one message out of a record that may be large */
        buf_reset(hold, TAIL_KEEP_BYTES);
        message_encode(hold, &m, h.stored_ms);
        s = hold->failed ? ST_NOMEM : message_decode(buf_slice(hold), h.stored_ms, ret_m);
    }
    struct lost_where where = log_where(st, t, queue);
    uint64_t first = 0, last = 0;
    if (s == ST_DAMAGED)
        core_worked(st, 0, WORK_BYTES_MAX); /* nobody knows how long the record is that was read for nothing */
    s = s == ST_DAMAGED ? lost_find(&where, offset, &first, &last) : s;
    return s == ST_BAD ? ST_DAMAGED : s;
}

enum status log_offset_at(struct state *st, struct topic *t, uint32_t queue, int64_t time_ms,
                          uint64_t *ret_offset)
{
    struct queue *q = &t->queues[queue];
    if (time_ms > st->now_ms) {
        *ret_offset = q->end;
        return ST_OK;
    }
    struct directory *d = finder_directory(&st->finder, t->id, t->compress);
    if (!d)
        return ST_NOMEM;
    return directory_at_time(d, queue, q->floor, log_stored_end(st, q), time_ms, ret_offset);
}

/* When a message whose row E cannot be read expires: the message says it, too. */
static enum status log_expiry_of_message(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                                         int64_t *ret_ms)
{
    struct message m;
    enum status s = log_read(st, t, queue, offset, &st->props, &m);
    *ret_ms = s == ST_OK && (m.fields & MSG_TTL) ? m.expires_ms : INT64_MAX;
    return s == ST_DAMAGED || s == ST_GONE ? ST_OK : s; /* whoever reads it then will see */
}

static enum status log_expiry_stored(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset,
                                     int64_t *ret_ms)
{
    struct finder_queue fq = log_queue(t, queue);
    return finder_expiry(&st->finder, &fq, offset, ret_ms);
}

/* Of the open group only what has expired already is in the overlay; all else expires later. */
static enum status log_expiry_unwritten(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset,
                                        int64_t *ret_ms)
{
    struct key key = key_expiry(t->id, queue, offset);
    struct buf value;
    buf_init(&value, 64);
    enum status s = overlay_get(&st->overlay, &key, &value);
    if (s == ST_OK) {
        struct cursor c = cursor_of(buf_slice(&value));
        *ret_ms = (int64_t)cursor_u64(&c);
    }
    buf_free(&value);
    return s == ST_GONE ? ST_OK : s;
}

enum status log_expiry(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       int64_t *ret_ms)
{
    *ret_ms = INT64_MAX;
    if (!(t->flags & TOPIC_HAS_TTL))
        return ST_OK;
    const struct tail *tail = t->queues[queue].tail;
    if (tail && offset >= tail->base) { /* its row is not in the store yet */
        struct message m;
        enum status read = tail_read(tail, offset, st->now_ms, &st->props, &m);
        if (read == ST_OK && (m.fields & MSG_TTL))
            *ret_ms = m.expires_ms;
        return read;
    }
    enum status s = queue_unwritten(st, &t->queues[queue], offset) ? log_expiry_unwritten(st, t, queue, offset, ret_ms)
                                                                   : log_expiry_stored(st, t, queue, offset, ret_ms);
    return s == ST_DAMAGED ? log_expiry_of_message(st, t, queue, offset, ret_ms) : s;
}
