/* kv_short.c: shortens batches for the log, and makes them whole again (kv_short.h). */
#include "storage/disk/batch/kv_short.h"

#include <assert.h>

#include "protocol/limits.h"

#define MARK UINT64_MAX
#define KEEP_BYTES KIB(64) /* of each buffer, for the next batch */

/* Where the batch is cut; the rest of what is known about a cut is in `head` already. */
struct kv_cut {
    size_t at, len;
};

void kv_short_init(struct kv_shorter *s)
{
    buf_init(&s->cuts, 0);
    buf_init(&s->head, 0);
    buf_init(&s->bytes, 0);
    s->cut_bytes = 0;
}

void kv_short_free(struct kv_shorter *s)
{
    buf_free(&s->cuts);
    buf_free(&s->head);
    buf_free(&s->bytes);
}

void kv_short_reset(struct kv_shorter *s)
{
    buf_reset(&s->cuts, KEEP_BYTES);
    buf_reset(&s->head, KEEP_BYTES);
    buf_reset(&s->bytes, KEEP_BYTES);
    s->cut_bytes = 0;
}

void kv_short_cut(struct kv_shorter *s, size_t at, size_t len, struct slice key, size_t from)
{
    struct kv_cut cut = {.at = at, .len = len};
    buf_put(&s->cuts, &cut, sizeof cut);
    buf_put_varint(&s->head, at - s->cut_bytes);
    buf_put_varint(&s->head, len);
    buf_put_varint(&s->head, from);
    buf_put_sized(&s->head, key);
    s->cut_bytes += len;
}

void kv_short_part_key(uint64_t part, uint8_t out[static KV_SHORT_PART_BYTES])
{
    out[0] = KV_SHORT_PART;
    for (unsigned i = 1; i < KV_SHORT_PART_BYTES; i++)
        out[i] = (uint8_t)(part >> (64 - 8 * i));
}

bool kv_short_part(struct slice key, uint64_t *ret_part)
{
    if (key.len != KV_SHORT_PART_BYTES || key.data[0] != KV_SHORT_PART)
        return false;
    *ret_part = 0;
    for (unsigned i = 1; i < KV_SHORT_PART_BYTES; i++)
        *ret_part = *ret_part << 8 | key.data[i];
    return true;
}

struct slice kv_short_of(struct kv_shorter *s, struct slice batch)
{
    size_t n = s->cuts.len / sizeof(struct kv_cut), done = 0;
    if (n == 0 || s->cuts.failed || s->head.failed)
        return batch;
    buf_reset(&s->bytes, KEEP_BYTES);
    buf_put_u64(&s->bytes, MARK);
    buf_put_varint(&s->bytes, n);
    buf_put_slice(&s->bytes, buf_slice(&s->head));
    const struct kv_cut *cuts = (const struct kv_cut *)(const void *)s->cuts.data;
    for (size_t i = 0; i < n; i++) {
        assert(cuts[i].at >= done && cuts[i].at + cuts[i].len <= batch.len);
        buf_put(&s->bytes, batch.data + done, cuts[i].at - done);
        done = cuts[i].at + cuts[i].len;
    }
    buf_put(&s->bytes, batch.data + done, batch.len - done);
    return s->bytes.failed ? batch : buf_slice(&s->bytes);
}

bool kv_short_is(struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    return cursor_u64(&c) == MARK && !c.bad;
}

bool kv_short_next(struct kv_short_walk *w, struct kv_short_cut *ret_cut)
{
    if (w->left == 0 || w->c.bad)
        return false;
    w->left--;
    ret_cut->at = (size_t)cursor_varint(&w->c);
    ret_cut->len = (size_t)cursor_varint(&w->c);
    ret_cut->from = (size_t)cursor_varint(&w->c);
    ret_cut->key = cursor_sized(&w->c);
    return !w->c.bad;
}

bool kv_short_begin(struct slice bytes, struct kv_short_walk *w, struct slice *ret_rest)
{
    *w = (struct kv_short_walk){.c = cursor_of(bytes)};
    *ret_rest = bytes;
    if (!kv_short_is(bytes))
        return true;
    (void)cursor_u64(&w->c);
    w->left = cursor_varint(&w->c);
    struct kv_short_walk behind = *w;
    struct kv_short_cut cut;
    while (kv_short_next(&behind, &cut))
        continue;
    *ret_rest = cursor_bytes(&behind.c, cursor_left(&behind.c));
    return !behind.c.bad;
}

enum status kv_short_restore(struct slice bytes, kv_short_read_fn *read, void *arg, struct buf *out)
{
    struct kv_short_walk w;
    struct kv_short_cut cut;
    struct slice rest;
    size_t done = 0;
    if (!kv_short_begin(bytes, &w, &rest))
        return ST_BAD;
    while (kv_short_next(&w, &cut)) {
        if (cut.at < done || cut.at > rest.len || cut.len > REQUEST_BYTES_MAX)
            return ST_BAD;
        buf_put(out, rest.data + done, cut.at - done);
        done = cut.at;
        enum status s = read(arg, &cut, out);
        if (s != ST_OK)
            return s;
    }
    buf_put(out, rest.data + done, rest.len - done);
    return out->failed ? ST_NOMEM : ST_OK;
}

size_t kv_short_whole(struct slice bytes)
{
    struct kv_short_walk w;
    struct kv_short_cut cut;
    struct slice rest;
    if (!kv_short_begin(bytes, &w, &rest))
        return bytes.len;
    size_t whole = rest.len;
    while (kv_short_next(&w, &cut))
        whole += cut.len;
    return whole;
}
