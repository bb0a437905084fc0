/* body.c: see body.h for the layout. */
#include "bench/body.h"

#include <assert.h>
#include <stdlib.h>

#include "bench/chance.h"
#include "protocol/text.h"

#define POOL_BYTES (256u * 1024)

bool body_pool_init(struct body_pool *p, size_t most, uint64_t seed)
{
    struct chance c = chance_from(seed, UINT64_MAX - 1);
    *p = (struct body_pool){.len = most + POOL_BYTES, .most = most, .seed = seed};
    p->bytes = malloc(p->len);
    for (size_t i = 0; p->bytes && i < p->len; i++)
        p->bytes[i] = (uint8_t)chance_next(&c);
    return p->bytes != NULL;
}

void body_pool_fini(struct body_pool *p)
{
    free(p->bytes);
    *p = (struct body_pool){0};
}

static void put(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

/* Never 0, which means that there is none. */
static uint64_t sum_of(const uint8_t *body, size_t size)
{
    uint64_t sum = text_hash(slice_of(body + 8, size - 8));
    return sum ? sum : 1;
}

void body_patch(const struct body_head *head, uint8_t *out, size_t size)
{
    if (size < BODY_HEAD_BYTES)
        return;
    put(out, 0, 8);
    put(out + 8, head->run, 4);
    put(out + 12, head->key, 4);
    put(out + 16, head->seq, 8);
    put(out + 24, (uint64_t)head->stamp_ns, 8);
}

void body_make(const struct body_pool *p, const struct body_head *head, bool summed, uint8_t *out,
               size_t size)
{
    assert(size <= p->most);
    struct chance c = chance_from(p->seed ^ head->seq, head->key);
    if (size > 0)
        memcpy(out, p->bytes + chance_below(&c, POOL_BYTES), size);
    body_patch(head, out, size);
    if (summed && size >= BODY_HEAD_BYTES)
        put(out, sum_of(out, size), 8);
}

bool body_read(struct slice body, struct body_head *ret_head)
{
    struct cursor c = cursor_of(body);
    struct body_head h;
    cursor_u64(&c);
    h.run = cursor_u32(&c);
    h.key = cursor_u32(&c);
    h.seq = cursor_u64(&c);
    h.stamp_ns = (int64_t)cursor_u64(&c);
    if (c.bad)
        return false;
    *ret_head = h;
    return true;
}

bool body_whole(struct slice body)
{
    struct cursor c = cursor_of(body);
    return body.len >= BODY_HEAD_BYTES && cursor_u64(&c) == sum_of(body.data, body.len);
}
