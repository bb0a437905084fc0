/* record_cache.c: keeps records from view to view (record_cache.h). */
#include "storage/query/base/record_cache.h"

#include <stdlib.h>

#define NEXT_MAX 3 /* records that are read behind one that is here */

struct record_cache *record_cache_new(void)
{
    return calloc(1, sizeof(struct record_cache));
}

static void record_cache_drop(struct record_cache *c, struct cached_record *r)
{
    c->bytes -= r->bytes.len;
    if (r->pin)
        kv_unpin(r->pin);
    else
        free((void *)(uintptr_t)r->bytes.data);
    *r = (struct cached_record){.used = 0};
}

void record_cache_empty(struct record_cache *c)
{
    for (int i = 0; c && i < RECORD_CACHE_SLOTS; i++)
        record_cache_drop(c, &c->slots[i]);
}

void record_cache_free(struct record_cache *c)
{
    record_cache_empty(c);
    free(c);
}

const struct cached_record *record_cache_find(struct record_cache *c, const struct grant *g, uint64_t offset)
{
    for (struct cached_record *r = c->slots; r < c->slots + RECORD_CACHE_SLOTS; r++)
        if (offset - r->h.base < r->h.count && r->queue == g->queue && r->topic == g->topic_id) {
            r->used = ++c->clock;
            return r;
        }
    return NULL;
}

/* The record that was used longest ago, or a free slot; used: not a free one. */
static struct cached_record *record_cache_oldest(struct record_cache *c, bool used)
{
    struct cached_record *oldest = NULL;
    for (struct cached_record *r = c->slots; r < c->slots + RECORD_CACHE_SLOTS; r++)
        if ((r->h.count || !used) && (!oldest || r->used < oldest->used))
            oldest = r;
    return oldest;
}

/* Keeps the bytes of a record, which are the cache's from now on. */
static const struct cached_record *record_cache_keep(struct record_cache *c, const struct grant *g,
                                                     const struct record_header *h, struct slice bytes, struct kv_pin *pin)
{
    struct cached_record *r = record_cache_oldest(c, false);
    record_cache_drop(c, r);
    while (c->bytes + bytes.len > RECORD_CACHE_BYTES)
        record_cache_drop(c, record_cache_oldest(c, true));
    *r = (struct cached_record){.topic = g->topic_id, .queue = g->queue, .h = *h, .bytes = bytes, .pin = pin};
    r->used = ++c->clock;
    c->bytes += bytes.len;
    return r;
}

const struct cached_record *record_cache_put(struct record_cache *c, const struct grant *g, const struct record_header *h,
                                             struct slice record)
{
    uint8_t *bytes = record.len <= RECORD_CACHE_EACH ? malloc(record.len) : NULL;
    if (!bytes)
        return NULL;
    memcpy(bytes, record.data, record.len);
    return record_cache_keep(c, g, h, slice_of(bytes, record.len), NULL);
}

/* The nearest record that ends at or before a message, by no more than it is long. NULL: it is not here. */
static const struct cached_record *record_cache_before(const struct record_cache *c, const struct grant *g, uint64_t offset)
{
    const struct cached_record *best = NULL;
    for (const struct cached_record *r = c->slots; r < c->slots + RECORD_CACHE_SLOTS; r++) {
        bool near = offset - r->h.base - r->h.count < r->h.count && r->queue == g->queue && r->topic == g->topic_id;
        best = near && (!best || r->h.base > best->h.base) ? r : best;
    }
    return best;
}

/* Reads the record that begins at base, from the newest state: it is as it was when the view was opened, or gone. As
 * record_cache_next. */
static const struct cached_record *record_cache_read(struct record_cache *c, const struct view *v, const struct grant *g,
                                                     uint64_t base)
{
    struct key key = key_log(g->topic_id, g->queue, base);
    struct record_header h;
    struct slice record;
    struct kv_pin *pin = NULL;
    enum status s = kv_get_pinned(v->kv, records_family(g->compress), key_slice(&key), 0, NULL, &pin, &record);
    if (s != ST_OK)
        return NULL;
    if (record.len <= RECORD_CACHE_EACH && record_header_read(record, &h) == ST_OK && h.base == base)
        return record_cache_keep(c, g, &h, record, pin);
    kv_unpin(pin);
    return NULL;
}

const struct cached_record *record_cache_next(struct record_cache *c, const struct view *v, const struct grant *g,
                                              uint64_t offset)
{
    const struct cached_record *r = record_cache_before(c, g, offset);
    for (int i = 0; r && i < NEXT_MAX && offset - r->h.base >= r->h.count; i++)
        r = record_cache_read(c, v, g, r->h.base + r->h.count);
    return r && offset - r->h.base < r->h.count ? r : NULL;
}
