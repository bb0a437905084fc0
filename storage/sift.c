/*
 * sift.c: ranges as bytes, and finding them (sift.h).
 *
 *   range     u64 gt │ u64 filter_ref │ u64 from │ u32 queue │ u32 count │ bits, (count + 7) / 8 bytes
 *   stretch   u64 gt │ u64 filter_ref │ u32 queue │ u8 class │ u64 from │ u64 to
 */
#include "storage/sift.h"

#include <stdlib.h>

#define SIFT_HEAD_BYTES 32
#define SIFT_COUNT_AT 28

size_t sift_range_begin(struct buf *b, const struct sift_range *r)
{
    size_t at = b->len;
    buf_put_u64(b, r->gt);
    buf_put_u64(b, r->filter_ref);
    buf_put_u64(b, r->from);
    buf_put_u32(b, r->queue);
    buf_put_u32(b, 0);
    return at;
}

static uint32_t sift_count(const uint8_t *head)
{
    struct cursor c = cursor_of(slice_of(head + SIFT_COUNT_AT, 4));
    return cursor_u32(&c);
}

void sift_range_add(struct buf *b, size_t at, bool matches)
{
    if (b->failed)
        return;
    uint32_t i = sift_count(b->data + at);
    if (i % 8 == 0)
        buf_put_u8(b, 0);
    if (b->failed)
        return;
    b->data[at + SIFT_HEAD_BYTES + i / 8] |= (uint8_t)(matches << (i % 8));
    le_write(b->data + at + SIFT_COUNT_AT, i + 1, 4);
}

/* False: the end, or what is there is no range. */
static bool sift_next(struct cursor *c, struct sift_range *ret_r)
{
    if (cursor_left(c) == 0)
        return false;
    ret_r->gt = cursor_u64(c);
    ret_r->filter_ref = cursor_u64(c);
    ret_r->from = cursor_u64(c);
    ret_r->queue = cursor_u32(c);
    ret_r->count = cursor_u32(c);
    ret_r->bits = cursor_bytes(c, (size_t)ret_r->count / 8 + (ret_r->count % 8 != 0)).data;
    return !c->bad;
}

void sift_stretch_put(struct buf *b, const struct sift_stretch *s)
{
    buf_put_u64(b, s->gt);
    buf_put_u64(b, s->filter_ref);
    buf_put_u32(b, s->queue);
    buf_put_u8(b, s->class);
    buf_put_u64(b, s->from);
    buf_put_u64(b, s->to);
}

bool sift_stretch_next(struct cursor *c, struct sift_stretch *ret_s)
{
    if (cursor_left(c) == 0)
        return false;
    ret_s->gt = cursor_u64(c);
    ret_s->filter_ref = cursor_u64(c);
    ret_s->queue = cursor_u32(c);
    ret_s->class = cursor_u8(c);
    ret_s->from = cursor_u64(c);
    ret_s->to = cursor_u64(c);
    return !c->bad;
}

static int sift_order(const void *x, const void *y)
{
    const struct sift_range *a = x, *b = y;
    if (a->gt != b->gt)
        return a->gt < b->gt ? -1 : 1;
    if (a->queue != b->queue)
        return a->queue < b->queue ? -1 : 1;
    return (a->from > b->from) - (a->from < b->from);
}

static struct sift_range *sifts_all(const struct sifts *s) { return (struct sift_range *)(void *)s->ranges.data; }

void sifts_init(struct sifts *s)
{
    buf_init(&s->ranges, SIFT_RANGES_MAX * sizeof(struct sift_range));
    s->n = 0;
}

enum status sifts_open(struct sifts *s, struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    struct sift_range r;
    buf_reset(&s->ranges, KIB(64));
    for (s->n = 0; s->n < SIFT_RANGES_MAX && sift_next(&c, &r); s->n++)
        buf_put(&s->ranges, &r, sizeof(r));
    if (s->ranges.failed) {
        s->n = 0;
        return ST_NOMEM;
    }
    if (s->n > 1)
        qsort(s->ranges.data, s->n, sizeof(r), sift_order);
    return ST_OK;
}

void sifts_free(struct sifts *s)
{
    buf_free(&s->ranges);
    s->n = 0;
}

const struct sift_range *sifts_find(const struct sifts *s, uint64_t gt, uint64_t filter_ref, uint32_t queue,
                                    uint64_t offset)
{
    struct sift_range want = {.gt = gt, .queue = queue, .from = offset};
    uint32_t low = 0, high = s->n; /* the first one that begins behind the message */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sift_order(&sifts_all(s)[middle], &want) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct sift_range *r = low ? &sifts_all(s)[low - 1] : NULL;
    bool has = r && r->gt == gt && r->queue == queue && offset - r->from < r->count && r->filter_ref == filter_ref;
    return has ? r : NULL;
}
