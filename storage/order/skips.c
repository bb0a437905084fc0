/* skips.c: keeps skipped messages in blocks (skips.h). */
#include "storage/order/skips.h"

#include <stdlib.h>

static int skip_place_cmp(const struct skip *a, const struct skip *b)
{
    if (a->queue != b->queue)
        return a->queue < b->queue ? -1 : 1;
    if (a->base != b->base)
        return a->base < b->base ? -1 : 1;
    if (a->attempt != b->attempt)
        return a->attempt < b->attempt ? -1 : 1;
    return a->delivered < b->delivered ? -1 : a->delivered > b->delivered;
}

static int skip_age_cmp(const struct skip *a, const struct skip *b)
{
    if (a->age != b->age)
        return a->age < b->age ? -1 : 1;
    return skip_place_cmp(a, b);
}

RB_GENERATE_STATIC(skip_places, skip, by_place, skip_place_cmp)
RB_GENERATE_STATIC(skip_ages, skip, by_age, skip_age_cmp)

void skips_init(struct skips *s)
{
    *s = (struct skips){0};
    RB_INIT(&s->places);
    RB_INIT(&s->ages);
    s->dirty_end = &s->dirty;
}

void skips_fini(struct skips *s)
{
    struct skip *b = NULL, *next = NULL;
    for (b = s->dirty; b; b = next) {
        next = b->dirty_next;
        if (b->gone)
            free(b);
    }
    for (b = RB_MIN(skip_places, &s->places); b; b = next) {
        next = RB_NEXT(skip_places, &s->places, b);
        RB_REMOVE(skip_places, &s->places, b);
        free(b);
    }
    free(s->in);
    skips_init(s);
}

size_t skips_bytes(const struct skips *s)
{
    return s->blocks * (sizeof(struct skip) + 16) + s->n_queues * sizeof(*s->in);
}

static void skip_dirty(struct skips *s, struct skip *b)
{
    if (b->dirty)
        return;
    b->dirty = true;
    b->dirty_next = NULL;
    *s->dirty_end = b;
    s->dirty_end = &b->dirty_next;
}

/* Makes room to count a queue. */
static bool skips_count_queue(struct skips *s, uint32_t queue)
{
    if (queue < s->n_queues)
        return true;
    uint32_t *in = realloc(s->in, (queue + 1UL) * sizeof(*in));
    if (!in)
        return false;
    memset(in + s->n_queues, 0, (queue + 1UL - s->n_queues) * sizeof(*in));
    s->in = in;
    s->n_queues = queue + 1;
    return true;
}

/* An empty block, which is in the tree of places. NULL: no memory. */
static struct skip *skip_new(struct skips *s, uint32_t queue, uint64_t base, struct skip_past past)
{
    struct skip *b = skips_count_queue(s, queue) ? calloc(1, sizeof(*b)) : NULL;
    if (!b)
        return NULL;
    b->queue = queue;
    b->base = base;
    b->attempt = past.attempt;
    b->delivered = past.delivered;
    struct skip *twin = RB_INSERT(skip_places, &s->places, b);
    assert(!twin);
    (void)twin;
    s->blocks++;
    return b;
}

static struct skip *skip_find(struct skips *s, uint32_t queue, uint64_t base, struct skip_past past)
{
    struct skip **recent = &s->recent[queue % SKIPS_RECENT], *b = *recent;
    if (b && b->queue == queue && b->base == base && b->attempt == past.attempt &&
        b->delivered == past.delivered)
        return b;
    struct skip want = {.queue = queue, .base = base, .attempt = past.attempt, .delivered = past.delivered};
    b = RB_FIND(skip_places, &s->places, &want);
    if (!b)
        b = skip_new(s, queue, base, past);
    *recent = b ? b : *recent;
    return b;
}

struct skip *skips_add(struct skips *s, uint32_t queue, uint64_t offset, struct skip_past past)
{
    uint32_t i = (uint32_t)(offset % SKIP_SPAN);
    struct skip *b = skip_find(s, queue, offset - i, past);
    if (!b)
        return NULL;
    assert(!((b->bits[i / 64] >> (i % 64)) & 1));
    b->bits[i / 64] |= UINT64_C(1) << (i % 64);
    b->live++;
    s->in[queue]++;
    s->n++;
    skip_dirty(s, b);
    return b;
}

struct skip *skips_add_stored(struct skips *s, uint32_t queue, uint64_t base, struct skip_past past,
                              const struct skip_row *row)
{
    struct skip *b = skip_new(s, queue, base, past);
    if (!b)
        return NULL;
    b->row = true;
    for (uint32_t i = 0; i < SKIP_WORDS; i++) {
        b->bits[i] = row->bits[i];
        b->live += (uint32_t)__builtin_popcountll(row->bits[i]);
    }
    s->in[queue] += b->live;
    s->n += b->live;
    return b;
}

bool skips_next(const struct skip *b, uint64_t from, uint64_t *ret_offset)
{
    uint64_t at = from > b->base ? from - b->base : 0;
    for (uint64_t w = at / 64; w < SKIP_WORDS; w++) {
        uint64_t bits = b->ready[w] & (w == at / 64 ? UINT64_MAX << (at % 64) : UINT64_MAX);
        if (!bits)
            continue;
        *ret_offset = b->base + w * 64 + (uint64_t)__builtin_ctzll(bits);
        return true;
    }
    return false;
}

void skips_ready(struct skips *s, struct skip *b, uint64_t offset, uint64_t index)
{
    uint64_t i = offset - b->base, first = 0;
    bool none = !skips_next(b, 0, &first);
    assert(((b->bits[i / 64] >> (i % 64)) & 1) && !((b->ready[i / 64] >> (i % 64)) & 1));
    b->ready[i / 64] |= UINT64_C(1) << (i % 64);
    b->n_ready++;
    s->n_ready++;
    if (none) {
        b->age = index;
        RB_INSERT(skip_ages, &s->ages, b);
    } else if (offset < first) {
        skips_sort(s, b, index);
    }
}

void skips_sort(struct skips *s, struct skip *b, uint64_t index)
{
    if (b->age == index)
        return;
    RB_REMOVE(skip_ages, &s->ages, b);
    b->age = index;
    RB_INSERT(skip_ages, &s->ages, b);
}

/* A block without messages is gone. */
static void skip_drop(struct skips *s, struct skip *b)
{
    struct skip **recent = &s->recent[b->queue % SKIPS_RECENT];
    *recent = *recent == b ? NULL : *recent;
    RB_REMOVE(skip_places, &s->places, b);
    s->blocks--;
    b->gone = true;
}

void skips_remove(struct skips *s, struct skip *b, uint64_t offset)
{
    uint64_t i = offset - b->base, bit = UINT64_C(1) << (i % 64);
    assert(b->bits[i / 64] & bit);
    if (b->ready[i / 64] & bit) {
        b->ready[i / 64] &= ~bit;
        s->n_ready--;
        if (--b->n_ready == 0)
            RB_REMOVE(skip_ages, &s->ages, b);
    }
    b->bits[i / 64] &= ~bit;
    s->in[b->queue]--;
    s->n--;
    skip_dirty(s, b);
    if (--b->live == 0)
        skip_drop(s, b);
}

struct skip *skips_oldest(struct skips *s)
{
    return RB_MIN(skip_ages, &s->ages);
}

struct skip *skips_from_queue(struct skips *s, uint32_t queue)
{
    struct skip want = {.queue = queue};
    return RB_NFIND(skip_places, &s->places, &want);
}

struct skip *skips_behind(struct skip *b)
{
    return RB_NEXT(skip_places, NULL, b);
}
