/*
 * directory.c: the rows of the directory as bytes, and finding them (directory.h). Where a row cannot be used, the
 * record that it stands for is asked instead.
 */
#include "storage/disk/directory.h"

#include "storage/disk/keys.h"
#include "storage/disk/records.h"

#define DIRECTORY_VERSION 1

/* When its messages expire, counted from when they were stored; the second number is 0 where some never do. */
static uint8_t *directory_put_expires(uint8_t *at, const struct record_info *info)
{
    uint8_t hold[2 * VARINT_BYTES_MAX], *end = hold;
    end = write_varint(end, (uint64_t)(info->expires_least - info->stored_ms));
    end = write_varint(end, info->expires_most == INT64_MAX
                                ? 0
                                : 1 + (uint64_t)(info->expires_most - info->expires_least));
    at = write_varint(at, COLUMN_EXPIRES);
    return write_sized(at, slice_of(hold, (size_t)(end - hold)));
}

size_t directory_encode(const struct record_info *info, uint8_t out[DIRECTORY_ROW_MAX])
{
    uint8_t *at = out;
    *at++ = DIRECTORY_VERSION;
    *at++ = info->flags;
    at = write_varint(at, info->count);
    at = write_varint(at, info->index);
    at = write_varint(at, (uint64_t)info->stored_ms);
    at = write_varint(at, info->first_seq);
    at = write_varint(at, info->last_seq - info->first_seq);
    at = write_varint(at, info->bytes);
    at = write_varint(at, info->total);
    if (info->flags & RECORD_TTL)
        at = directory_put_expires(at, info);
    return (size_t)(at - out);
}

static void directory_get_expires(struct slice column, struct record_info *info, struct cursor *row)
{
    struct cursor c = cursor_of(column);
    uint64_t least = cursor_varint(&c), spread = cursor_varint(&c);
    uint64_t stored = (uint64_t)info->stored_ms;
    if (c.bad || cursor_left(&c) || least > INT64_MAX - stored || spread > INT64_MAX - stored - least) {
        row->bad = true;
        return;
    }
    info->expires_least = (int64_t)(stored + least);
    info->expires_most = spread ? (int64_t)(stored + least + spread - 1) : INT64_MAX;
}

/* Behind the fields that every row has: a number, and what belongs to it, sized. */
static void directory_get_columns(struct cursor *c, struct record_info *info)
{
    while (!c->bad && cursor_left(c)) {
        uint64_t id = cursor_varint(c);
        struct slice column = cursor_sized(c);
        if (c->bad)
            break;
        if (id == COLUMN_EXPIRES)
            directory_get_expires(column, info, c);
        else if (id == COLUMN_PRIORITIES)
            c->bad = columns_classes(column, &info->classes) != ST_OK;
        if (id == COLUMN_TAGS || id == COLUMN_KEYS || id == COLUMN_PRIORITIES)
            info->columns |= (uint8_t)COLUMN_BIT(id);
    }
}

enum status directory_decode(uint64_t base, struct slice value, struct record_info *ret_info)
{
    struct cursor c = cursor_of(value);
    if (cursor_u8(&c) != DIRECTORY_VERSION)
        return ST_BAD;
    struct record_info info = {.base = base, .expires_least = INT64_MAX, .expires_most = INT64_MAX};
    info.flags = cursor_u8(&c);
    uint64_t count = cursor_varint(&c);
    info.index = cursor_varint(&c);
    uint64_t stored = cursor_varint(&c);
    info.first_seq = cursor_varint(&c);
    info.last_seq = info.first_seq + cursor_varint(&c);
    uint64_t bytes = cursor_varint(&c);
    info.total = cursor_varint(&c);
    info.count = (uint32_t)count;
    info.bytes = (uint32_t)bytes;
    info.stored_ms = (int64_t)stored;
    if (count == 0 || count > UINT16_MAX || bytes > UINT32_MAX || stored > INT64_MAX ||
        base > UINT64_MAX - count || info.last_seq < info.first_seq || info.flags & ~(RECORD_TTL | RECORD_TXN))
        return ST_BAD;
    directory_get_columns(&c, &info);
    bool expires = info.expires_least != INT64_MAX;
    if (c.bad || expires != ((info.flags & RECORD_TTL) != 0))
        return ST_BAD;
    *ret_info = info;
    return ST_OK;
}

enum status directory_columns(struct slice value, uint32_t count, struct columns *ret_c)
{
    struct cursor c = cursor_of(value);
    (void)cursor_bytes(&c, 2);
    for (int i = 0; i < 7; i++)
        (void)cursor_varint(&c);
    return c.bad ? ST_BAD : columns_decode(slice_of(c.at, cursor_left(&c)), count, ret_c);
}

/* When the messages of a record expire, and what they have in columns. */
static enum status directory_walk(struct slice record, const struct record_header *h, struct record_info *info)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    uint16_t classes = 0;
    uint32_t fields = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        struct message m;
        if (record_message(record, h, i, &m) != ST_OK)
            return ST_BAD;
        int64_t expires = m.fields & MSG_TTL ? m.expires_ms : INT64_MAX;
        least = expires < least ? expires : least;
        most = expires > most ? expires : most;
        classes |= (uint16_t)(1U << (m.fields & MSG_PRIORITY ? m.priority : MESSAGE_PRIORITY_DEFAULT));
        fields |= m.fields;
    }
    info->expires_least = least;
    info->expires_most = most;
    info->classes = classes == 1U << MESSAGE_PRIORITY_DEFAULT ? 0 : classes;
    info->columns = (uint8_t)((fields & MSG_TAG ? COLUMN_BIT(COLUMN_TAGS) : 0) |
                              (fields & MSG_ORDER ? COLUMN_BIT(COLUMN_KEYS) : 0) |
                              (info->classes ? COLUMN_BIT(COLUMN_PRIORITIES) : 0));
    return ST_OK;
}

enum status directory_of_record(struct slice record, struct record_info *ret_info)
{
    struct record_header h;
    struct message first, last;
    if (record_header_read(record, &h) != ST_OK || record_message(record, &h, 0, &first) != ST_OK ||
        record_message(record, &h, h.count - 1, &last) != ST_OK)
        return ST_BAD;
    *ret_info = (struct record_info){.base = h.base,
                                     .index = h.index,
                                     .first_seq = first.seq,
                                     .last_seq = last.seq,
                                     .stored_ms = h.stored_ms,
                                     .count = h.count,
                                     .bytes = (uint32_t)record.len,
                                     .flags = h.flags};
    return directory_walk(record, &h, ret_info);
}

bool directory_open(struct directory *d, struct kv *kv, const struct kv_snap *snap, uint64_t topic,
                    enum compress compress)
{
    struct key from, to;
    key_begin(&from, 'B');
    to = key_after(&from);
    *d = (struct directory){.kv = kv, .snap = snap, .topic = topic, .compress = compress};
    d->it = kv_iter_new(kv, KV_STATE, snap, key_slice(&from), key_slice(&to));
    return d->it != NULL;
}

void directory_turn(struct directory *d, uint64_t topic, enum compress compress)
{
    d->topic = topic;
    d->compress = compress;
    d->on = false;
}

void directory_close(struct directory *d)
{
    kv_iter_free(d->it);
    d->it = NULL;
}

/* True where the iterator stands on a row of the queue. */
static bool directory_in(const struct directory *d, uint32_t queue)
{
    if (!kv_iter_valid(d->it))
        return false;
    struct slice key = kv_iter_key(d->it);
    return key.len == DIRECTORY_KEY_BYTES && key_read_u64(key.data + 1) == d->topic &&
           key_read_u32(key.data + 9) == queue;
}

/* Reads the row that the iterator stands on. False: it is none of the queue's, or it is damaged. */
static bool directory_row(const struct directory *d, uint32_t queue, struct record_info *ret_info)
{
    return directory_in(d, queue) && directory_decode(key_read_u64(kv_iter_key(d->it).data + 13),
                                                      kv_iter_value(d->it), ret_info) == ST_OK;
}

/* Asks the records: the one that holds the offset, or the first behind it; the last one where last is set. */
static enum status directory_ask_records(struct directory *d, uint32_t queue, uint64_t offset, bool last,
                                         struct record_info *ret_info)
{
    struct kv_iter *it = records_iter(d->kv, d->snap, d->compress, d->topic, queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h;
    enum status s = ST_OK;
    if (last) {
        struct key key = key_log(d->topic, queue, UINT64_MAX);
        kv_iter_floor(it, key_slice(&key));
        s = kv_iter_status(it);
        if (s == ST_OK && !kv_iter_valid(it))
            s = ST_GONE;
    } else {
        s = records_seek(it, d->topic, queue, offset, &h);
    }
    if (s == ST_OK)
        s = record_verify(kv_iter_value(it), &h) == ST_OK ? directory_of_record(kv_iter_value(it), ret_info) : ST_BAD;
    kv_iter_free(it);
    return s == ST_BAD ? ST_DAMAGED : s;
}

static bool directory_holds(const struct record_info *info, uint64_t offset)
{
    return offset >= info->base && offset - info->base < info->count;
}

enum status directory_find(struct directory *d, uint32_t queue, uint64_t offset, struct record_info *ret_info)
{
    if (d->on && d->queue == queue && d->end == offset) {
        kv_iter_next(d->it);
    } else {
        struct key key = key_directory(d->topic, queue, offset);
        kv_iter_floor(d->it, key_slice(&key));
    }
    d->on = directory_row(d, queue, ret_info) && directory_holds(ret_info, offset);
    d->queue = queue;
    d->end = d->on ? ret_info->base + ret_info->count : 0;
    return d->on ? ST_OK : directory_ask_records(d, queue, offset, false, ret_info);
}

enum status directory_last(struct directory *d, uint32_t queue, struct record_info *ret_info)
{
    struct key key = key_directory(d->topic, queue, UINT64_MAX);
    kv_iter_floor(d->it, key_slice(&key));
    d->on = false;
    if (directory_row(d, queue, ret_info))
        return ST_OK;
    enum status s = kv_iter_status(d->it);
    if (!directory_in(d, queue) && s == ST_OK)
        return ST_GONE;
    /* A row that is damaged has no total any more. One that cannot be read now has. */
    return s == ST_OK || s == ST_DAMAGED ? directory_ask_records(d, queue, 0, true, ret_info) : s;
}

enum status directory_at_time(struct directory *d, uint32_t queue, uint64_t low, uint64_t high, int64_t time_ms,
                              uint64_t *ret_offset)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct record_info info;
        enum status s = directory_find(d, queue, middle, &info);
        if (s == ST_GONE)
            info = (struct record_info){.base = high, .stored_ms = INT64_MAX};
        else if (s == ST_DAMAGED) /* nobody knows when it was stored: rather too early than too late */
            info = (struct record_info){.base = middle, .stored_ms = INT64_MAX};
        else if (s != ST_OK)
            return s;
        if (info.stored_ms < time_ms)
            low = info.base + info.count;
        else
            high = info.base > middle ? middle : info.base > low ? info.base : low;
    }
    *ret_offset = low;
    return ST_OK;
}
