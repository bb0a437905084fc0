/*
 * lost.c: says what is lost (lost.h). The directory (directory.h) says it exactly: the messages of the record that
 * cannot be read. Where its row is lost, too, the next readable record is looked for, in steps that double, and then
 * between the last two: RocksDB cannot go on behind something that it cannot read, it has to be sent there.
 */
#include "storage/disk/lost.h"

#include "storage/disk/directory.h"
#include "storage/disk/keys.h"

/* Reads the directory's row of the record that holds offset. ST_GONE: the last row, which it reads too, is of a record before it.
 * ST_DAMAGED: the row is lost. */
static enum status lost_row(const struct lost_where *w, uint64_t offset, struct record_info *ret_info)
{
    struct key from = key_directory(w->topic, w->queue, 0), at = key_directory(w->topic, w->queue, offset);
    struct key to = key_directory(w->topic, w->queue + 1, 0);
    struct kv_iter *it = kv_iter_new(w->kv, KV_STATE, w->snap, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    kv_iter_floor(it, key_slice(&at));
    enum status s = kv_iter_status(it);
    if (s == ST_OK && !kv_iter_valid(it)) {
        s = ST_GONE;
    } else if (s == ST_OK) {
        uint64_t base = key_read_u64(kv_iter_key(it).data + DIRECTORY_KEY_BYTES - 8);
        s = directory_decode(base, kv_iter_value(it), ret_info) == ST_OK ? ST_OK : ST_DAMAGED;
    }
    if (s == ST_OK && offset >= ret_info->base + ret_info->count) {
        kv_iter_next(it);
        s = kv_iter_status(it);
        s = s == ST_OK ? (kv_iter_valid(it) ? ST_DAMAGED : ST_GONE) : s;
    }
    kv_iter_free(it);
    return s;
}

/* Seeks the first record at or behind offset. ST_OK: it can be read, *ret_base is its base. */
static enum status lost_seek(struct kv_iter *it, const struct lost_where *w, uint64_t offset, uint64_t *ret_base)
{
    struct record_header h;
    struct key key = key_log(w->topic, w->queue, offset);
    kv_iter_seek(it, key_slice(&key));
    enum status s = records_header(it, &h);
    if (s == ST_OK)
        *ret_base = h.base;
    return s;
}

static bool lost_goes_on(enum status s)
{
    return s == ST_OK || s == ST_GONE || s == ST_DAMAGED;
}

/* Finds the base of the next readable record behind offset. ST_GONE: there is none, and at *ret_base nothing is damaged
 * either. ST_DAMAGED: it is damaged up to the last offset that there can be, as where the index of a table is. */
static enum status lost_next(struct kv_iter *it, const struct lost_where *w, uint64_t offset, uint64_t *ret_base)
{
    uint64_t low = offset, step = 1, high = offset;
    enum status s = ST_DAMAGED;
    while (s == ST_DAMAGED && high < INT64_MAX) {
        low = high;
        high = step < INT64_MAX - offset ? offset + step : INT64_MAX;
        step *= 2;
        s = lost_seek(it, w, high, ret_base);
    }
    while (lost_goes_on(s) && high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        s = lost_seek(it, w, middle, ret_base);
        if (s == ST_DAMAGED)
            low = middle;
        else
            high = middle;
    }
    if (lost_goes_on(s)) {
        *ret_base = high;
        s = lost_seek(it, w, high, ret_base);
    }
    return s;
}

/* Where the queue ends, as the directory's last row says. 0: nobody can say. */
static enum status lost_end(const struct lost_where *w, uint64_t *ret_end)
{
    struct record_info last = {0};
    enum status s = lost_row(w, INT64_MAX, &last); /* ST_GONE, as the last row is of a record before that */
    *ret_end = s == ST_GONE ? last.base + last.count : 0;
    return lost_goes_on(s) ? ST_OK : s;
}

/* The last lost message from offset on, which is before the next readable record, and before the queue's end. */
static enum status lost_before_next(const struct lost_where *w, uint64_t offset, uint64_t *ret_last)
{
    struct kv_iter *it = records_iter(w->kv, w->snap, w->compress, w->topic, w->queue);
    if (!it)
        return ST_NOMEM;
    uint64_t next = 0, end = 0;
    enum status s = lost_next(it, w, offset, &next), ends = ST_OK;
    kv_iter_free(it);
    if (!lost_goes_on(s))
        return s;
    if (s != ST_OK)
        ends = lost_end(w, &end);
    if (ends != ST_OK)
        return ends;
    if (end > offset && (s == ST_DAMAGED || end < next))
        next = end;
    else if (s == ST_DAMAGED || (s == ST_GONE && next == offset + 1))
        return ST_BAD;
    *ret_last = next - 1;
    return ST_OK;
}

enum status lost_find(const struct lost_where *w, uint64_t offset, uint64_t *ret_first, uint64_t *ret_last)
{
    struct record_info info;
    *ret_first = offset;
    enum status s = lost_row(w, offset, &info);
    if (s == ST_OK) {
        *ret_first = info.base;
        *ret_last = info.base + info.count - 1;
    } else if (s == ST_DAMAGED) {
        *ret_last = offset;
        s = lost_before_next(w, offset, ret_last);
    }
    if (s == ST_BAD)
        (void)kv_damaged_record(w->kv, NULL, w->name, w->topic, w->queue, offset, offset);
    return s == ST_OK ? kv_damaged_record(w->kv, NULL, w->name, w->topic, w->queue, *ret_first, *ret_last) : s;
}
