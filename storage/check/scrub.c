/* scrub.c: reads the records that the directory names, and tells of those that are not sound (scrub.h). */
#include "storage/check/scrub.h"

#include "storage/disk/directory.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv.h"
#include "storage/disk/records.h"
#include "storage/disk/rows.h"
#include "storage/store.h"

#define RECORDS_MAX 1024 /* in a step: small ones take more time than their bytes say */

struct scrub {
    struct kv *kv;
    struct scrub_place *at;
    struct slice name;
    struct topic_row topic;
    struct scrub_step *step;
    uint64_t bytes_max;
    struct buf value;
};

static bool scrub_is_full(const struct scrub *s)
{
    return s->step->bytes >= s->bytes_max || s->step->records >= RECORDS_MAX;
}

/* Was the row deleted since the iterator was opened? Then its record is gone rightly. */
static bool scrub_is_gone(struct scrub *s, uint64_t base)
{
    struct key key = key_directory(s->topic.id, s->at->queue, base);
    buf_reset(&s->value, KIB(64));
    return kv_get(s->kv, KV_STATE, NULL, key_slice(&key), &s->value) == ST_GONE;
}

/* The record of one row. ST_IO, ST_NOMEM: it could not be read now. */
static enum status scrub_record(struct scrub *s, struct kv_iter *records, const struct record_info *info)
{
    struct record_header h = {0};
    struct key key = key_log(s->topic.id, s->at->queue, info->base);
    kv_iter_seek(records, key_slice(&key));
    enum status st = records_header(records, &h);
    if (st == ST_OK && h.base != info->base)
        st = ST_GONE;
    bool sound = st == ST_OK && h.count == info->count && record_verify(kv_iter_value(records), &h) == ST_OK;
    s->step->records++;
    s->step->bytes += info->bytes;
    if (st == ST_IO || st == ST_NOMEM)
        return st;
    if (!sound && !(st == ST_GONE && scrub_is_gone(s, info->base)))
        (void)kv_damaged_record(s->kv, NULL, s->name, s->topic.id, s->at->queue, info->base, info->base + info->count - 1);
    return ST_OK;
}

/* One queue from the place on. *ret_end: it has no more. */
static enum status scrub_queue(struct scrub *s, bool *ret_end)
{
    struct key from = key_directory(s->topic.id, s->at->queue, s->at->offset);
    struct key to = key_directory(s->topic.id, s->at->queue + 1, 0);
    struct kv_iter *it = kv_iter_new(s->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    struct kv_iter *records = records_iter(s->kv, NULL, s->topic.compress, s->topic.id, s->at->queue);
    if (!it || !records) {
        kv_iter_free(it);
        kv_iter_free(records);
        return ST_NOMEM;
    }
    enum status st = ST_OK;
    kv_iter_first(it);
    for (; st == ST_OK && kv_iter_valid(it) && !scrub_is_full(s); kv_iter_next(it)) {
        struct record_info info;
        uint64_t base = key_read_u64(kv_iter_key(it).data + DIRECTORY_KEY_BYTES - 8);
        if (directory_decode(base, kv_iter_value(it), &info) != ST_OK) {
            (void)kv_damaged_row(s->kv, kv_iter_key(it));
            s->at->offset = base + 1;
            continue;
        }
        bool below = base + info.count <= s->topic.floor[s->at->queue];
        st = below ? ST_OK : scrub_record(s, records, &info);
        if (st == ST_OK)
            s->at->offset = base + info.count;
    }
    if (st == ST_OK && !kv_iter_valid(it)) {
        enum status why = kv_iter_status(it); /* rows that are damaged are told by this; those behind them are left out */
        *ret_end = true;
        st = why == ST_DAMAGED ? ST_OK : why;
    }
    kv_iter_free(records);
    kv_iter_free(it);
    return st;
}

/* The topic at the place, or the next one. ST_GONE: there is none. */
static enum status scrub_find_topic(struct scrub *s)
{
    struct key from, prefix;
    key_begin(&prefix, 'T');
    key_begin(&from, 'T');
    key_bytes(&from, slice_str(s->at->topic));
    struct key to = key_after(&prefix);
    struct kv_iter *it = kv_iter_new(s->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    kv_iter_first(it);
    enum status st = kv_iter_valid(it) ? ST_OK : kv_iter_status(it);
    bool there = kv_iter_valid(it);
    struct slice key = there ? kv_iter_key(it) : slice_of(NULL, 0);
    if (there && (key.len > sizeof s->at->topic || topic_decode(kv_iter_value(it), &s->topic) != ST_OK))
        st = kv_damaged_row(s->kv, key);
    if (there && !slice_equal(slice_of(key.data + 1, key.len - 1), slice_str(s->at->topic))) {
        *s->at = (struct scrub_place){0};
        memcpy(s->at->topic, key.data + 1, key.len - 1 < sizeof s->at->topic ? key.len - 1 : 0);
    }
    kv_iter_free(it);
    s->name = slice_str(s->at->topic);
    return there || st != ST_OK ? st : ST_GONE;
}

/* The place is behind the topic: names have no byte below '!', so nothing sorts between. */
static void scrub_leave_topic(struct scrub *s)
{
    size_t n = strlen(s->at->topic);
    struct scrub_place next = {0};
    if (n + 1 < sizeof next.topic) {
        memcpy(next.topic, s->at->topic, n);
        next.topic[n] = ' ';
    } else {
        memcpy(next.topic, s->at->topic, n);
        next.topic[n - 1]++; /* the longest name has no other that begins with it */
    }
    *s->at = next;
}

enum status store_scrub(struct store *store, struct scrub_place *at, uint64_t bytes_max, struct scrub_step *ret_step)
{
    struct scrub s = {.kv = store->kv, .at = at, .step = ret_step, .bytes_max = bytes_max};
    enum status st = ST_OK;
    *ret_step = (struct scrub_step){0};
    buf_init(&s.value, 0);
    for (int topics = 0; st == ST_OK && !scrub_is_full(&s) && topics < RECORDS_MAX; topics++) {
        bool end = false;
        st = scrub_find_topic(&s);
        if (st != ST_OK)
            break;
        while (st == ST_OK && at->queue < s.topic.n_queues && !scrub_is_full(&s)) {
            end = false;
            st = scrub_queue(&s, &end);
            if (st == ST_OK && end) {
                at->queue++;
                at->offset = 0;
            }
        }
        if (st == ST_OK && at->queue >= s.topic.n_queues)
            scrub_leave_topic(&s);
    }
    buf_free(&s.value);
    if (st == ST_DAMAGED) { /* a topic whose row cannot be read */
        scrub_leave_topic(&s);
        return ST_OK;
    }
    ret_step->over = st == ST_GONE;
    if (st != ST_GONE)
        return st;
    *at = (struct scrub_place){0};
    return ST_OK;
}

uint64_t store_record_bytes(struct store *s)
{
    return kv_record_bytes(s->kv);
}
