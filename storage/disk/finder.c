/* finder.c: look-ups that use again what the last one opened (finder.h). */
#include "storage/disk/finder.h"

#include "storage/disk/keys.h"
#include "storage/disk/records.h"

#define EXPIRY_STEPS_MAX 16 /* rows that are stepped over rather than sought */

static void finder_close_expiries(struct finder *f)
{
    kv_iter_free(f->expiries);
    f->expiries = NULL;
}

static void finder_close_records(struct finder *f)
{
    kv_iter_free(f->records);
    f->records = NULL;
    f->h.count = 0;
}

void finder_close(struct finder *f)
{
    directory_close(&f->d);
    kv_iter_free(f->classes);
    f->classes = NULL;
    finder_close_expiries(f);
    finder_close_records(f);
}

void finder_free(struct finder *f)
{
    finder_close(f);
    ahead_free(&f->ahead);
}

static bool finder_same(const struct finder_queue *a, const struct finder_queue *b)
{
    return a->topic == b->topic && a->queue == b->queue;
}

struct directory *finder_directory(struct finder *f, uint64_t topic, enum compress compress)
{
    if (!f->d.it && !directory_open(&f->d, f->kv, NULL, topic, compress))
        return NULL;
    if (f->d.topic != topic)
        directory_turn(&f->d, topic, compress);
    return &f->d;
}

/* The row of the last answer; empty: the record itself has answered. */
static struct slice finder_value(const struct directory *d)
{
    return d->on ? kv_iter_value(d->it) : slice_of(NULL, 0);
}

enum status finder_place(struct finder *f, const struct finder_queue *q, uint64_t offset, uint64_t end,
                         struct record_info *ret_info)
{
    const struct record_info *known = ahead_recall(&f->ahead, q->topic, q->queue, offset);
    if (known) {
        *ret_info = *known;
        return ST_OK;
    }
    struct directory *d = finder_directory(f, q->topic, q->compress);
    if (!d)
        return ST_NOMEM;
    enum status s = directory_find(d, q->queue, offset, ret_info);
    struct ahead_slot *slot = s == ST_OK ? ahead_slot(&f->ahead, q->topic, q->queue) : NULL;
    if (!slot)
        return s;
    struct record_info row = *ret_info;
    ahead_add(&f->ahead, slot, &row, finder_value(d));
    while (slot->n < AHEAD_ROWS && d->on && row.base + row.count < end) {
        if (directory_find(d, q->queue, row.base + row.count, &row) != ST_OK)
            break; /* whoever needs that one will be told */
        ahead_add(&f->ahead, slot, &row, finder_value(d));
    }
    return s;
}

/* The offset of the row E that the iterator stands on; UINT64_MAX: it has passed those of its queue. */
static uint64_t finder_expiry_at(const struct finder *f)
{
    struct key want = key_expiry(f->expiries_of.topic, f->expiries_of.queue, 0);
    if (!kv_iter_valid(f->expiries))
        return UINT64_MAX;
    struct slice key = kv_iter_key(f->expiries);
    bool of_queue = key.len == want.len && memcmp(key.data, want.bytes, want.len - 8) == 0;
    return of_queue ? key_read_u64(key.data + key.len - 8) : UINT64_MAX;
}

static enum status finder_seek_expiry(struct finder *f, const struct finder_queue *q, uint64_t offset)
{
    if (!f->expiries)
        f->expiries = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("E"), SLICE_LIT("F"));
    if (!f->expiries)
        return ST_NOMEM;
    struct key key = key_expiry(q->topic, q->queue, offset);
    kv_iter_seek(f->expiries, key_slice(&key));
    f->expiries_of = *q;
    f->expiries_from = offset;
    return kv_iter_status(f->expiries);
}

enum status finder_expiry(struct finder *f, const struct finder_queue *q, uint64_t offset, int64_t *ret_ms)
{
    enum status s = ST_OK;
    *ret_ms = INT64_MAX;
    bool near = f->expiries && finder_same(&f->expiries_of, q) && offset >= f->expiries_from;
    uint64_t at = near ? finder_expiry_at(f) : 0;
    for (int i = 0; near && s == ST_OK && at < offset && i < EXPIRY_STEPS_MAX; i++) {
        f->expiries_from = at + 1;
        kv_iter_next(f->expiries);
        s = kv_iter_status(f->expiries);
        at = finder_expiry_at(f);
    }
    if (s == ST_OK && (!near || at < offset)) {
        s = finder_seek_expiry(f, q, offset);
        at = s == ST_OK ? finder_expiry_at(f) : 0;
    }
    if (s != ST_OK) {
        finder_close_expiries(f);
        return s;
    }
    if (at == offset) {
        struct cursor c = cursor_of(kv_iter_value(f->expiries));
        *ret_ms = (int64_t)cursor_u64(&c);
    }
    return ST_OK;
}

enum status finder_class(struct finder *f, const struct finder_queue *q, uint8_t class, uint64_t base,
                         uint64_t *ret_base)
{
    if (!f->classes)
        f->classes = kv_iter_new(f->kv, KV_STATE, NULL, SLICE_LIT("F"), SLICE_LIT("G"));
    if (!f->classes)
        return ST_NOMEM;
    struct key key = key_class(q->topic, q->queue, class, base);
    kv_iter_seek(f->classes, key_slice(&key));
    if (!kv_iter_valid(f->classes)) {
        enum status s = kv_iter_status(f->classes);
        return s == ST_OK ? ST_GONE : s;
    }
    struct slice at = kv_iter_key(f->classes);
    if (at.len != key.len || memcmp(at.data, key.bytes, key.len - 8) != 0)
        return ST_GONE;
    *ret_base = key_read_u64(at.data + at.len - 8);
    return ST_OK;
}

enum status finder_record(struct finder *f, const struct finder_queue *q, uint64_t offset, struct record_header *ret_h,
                          struct slice *ret_record)
{
    bool of_queue = f->records && finder_same(&f->records_of, q);
    bool there = of_queue && offset >= f->h.base && offset - f->h.base < f->h.count;
    if (!of_queue) {
        finder_close_records(f);
        f->records = records_iter(f->kv, NULL, q->compress, q->topic, q->queue);
        f->records_of = *q;
    }
    if (!f->records)
        return ST_NOMEM;
    enum status s = there ? ST_OK : records_seek(f->records, q->topic, q->queue, offset, &f->h);
    if (s != ST_OK) {
        finder_close_records(f);
        return s;
    }
    *ret_h = f->h;
    *ret_record = kv_iter_value(f->records);
    return ST_OK;
}
