/* scan.c: iterates over rows and passes damaged blocks (scan.h). */
#include "storage/model/scan.h"

#include <assert.h>

enum status scan_open(struct scan *s, struct kv *kv, const struct key *from, const struct key *to, uint32_t at,
                      uint32_t width)
{
    assert(from->len >= at && at + width <= KEY_SIZE);
    *s = (struct scan){.kv = kv, .to = *to, .last = *from, .at = at, .width = width};
    s->it = kv_iter_new(kv, KV_STATE, NULL, key_slice(from), key_slice(to));
    return s->it ? ST_OK : ST_NOMEM;
}

void scan_close(struct scan *s)
{
    kv_iter_free(s->it);
    s->it = NULL;
}

/* Adds 2^bit to the number in a key. False: it would not fit. */
static bool scan_add(const struct scan *s, struct key *k, uint32_t bit)
{
    uint32_t i = s->at + s->width - 1 - bit / 8;
    uint32_t carry = 1U << bit % 8;
    for (;; i--) {
        carry += k->bytes[i];
        k->bytes[i] = (uint8_t)carry;
        carry >>= 8;
        if (carry == 0)
            return true;
        if (i == s->at)
            return false;
    }
}

/* Moves to the first row at or behind a key. False: what is there is damaged. With an iterator of its own, because one
 * of RocksDB's that has met a damaged block may report it again where it is moved to a good one. */
static bool scan_try(struct scan *s, const struct key *k)
{
    struct kv_iter *it = kv_iter_new(s->kv, KV_STATE, NULL, key_slice(k), key_slice(&s->to));
    if (!it) {
        s->status = ST_NOMEM;
        return true;
    }
    kv_iter_free(s->it);
    s->it = it;
    kv_iter_first(it);
    enum status status = kv_iter_valid(it) ? ST_OK : kv_iter_status(it);
    if (status != ST_OK && status != ST_DAMAGED)
        s->status = status;
    return status != ST_DAMAGED;
}

static bool scan_behind_end(const struct scan *s, const struct key *k)
{
    uint32_t n = k->len < s->to.len ? k->len : s->to.len;
    return memcmp(k->bytes, s->to.bytes, n) >= 0;
}

/* Moves behind a damaged block: to the first key behind s->last from which rows can be read. */
static void scan_skip(struct scan *s)
{
    struct key low = s->last;
    while (low.len < s->at + s->width)
        low.bytes[low.len++] = 0;
    low.len = s->at + s->width;
    struct key high = low;
    uint32_t bit = 0;
    for (;; bit++) {
        high = low;
        if (bit == 8 * s->width || !scan_add(s, &high, bit))
            return; /* nothing behind it can be read */
        if (scan_behind_end(s, &high) || scan_try(s, &high))
            break;
    }
    for (struct key middle = low; bit > 0; middle = low) { /* low cannot be read, low + 2^bit can */
        bit--;
        (void)scan_add(s, &middle, bit);
        if (!scan_behind_end(s, &middle) && !scan_try(s, &middle))
            low = middle;
    }
    if (s->status == ST_OK && scan_add(s, &low, 0) && !scan_behind_end(s, &low))
        (void)scan_try(s, &low);
}

/* After each move. */
static void scan_moved(struct scan *s)
{
    while (!kv_iter_valid(s->it)) {
        enum status status = s->status == ST_OK ? kv_iter_status(s->it) : s->status;
        if (status != ST_OK && status != ST_DAMAGED)
            s->status = status;
        if (status != ST_DAMAGED || s->skips == SCAN_SKIPS_MAX)
            return;
        if (s->skips++ == 0)
            s->skipped = s->last;
        scan_skip(s);
        if (!kv_iter_valid(s->it))
            return;
    }
    struct slice key = kv_iter_key(s->it);
    s->last.len = 0;
    key_bytes(&s->last, slice_of(key.data, key.len < KEY_SIZE ? key.len : KEY_SIZE));
}

void scan_first(struct scan *s)
{
    kv_iter_first(s->it);
    scan_moved(s);
}

void scan_next(struct scan *s)
{
    kv_iter_next(s->it);
    scan_moved(s);
}

bool scan_valid(const struct scan *s)
{
    return kv_iter_valid(s->it);
}

struct slice scan_key(const struct scan *s)
{
    return kv_iter_key(s->it);
}

struct slice scan_value(const struct scan *s)
{
    return kv_iter_value(s->it);
}
