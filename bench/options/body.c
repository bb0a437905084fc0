/*
 * body.c: makes bodies with a head and a checksum, and checks the bodies that come back. The layout is in body.h.
 */
#include "bench/options/body.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/base/chance.h"
#include "protocol/base/text.h"

#define POOL_BYTES (256u * 1024)
#define JSON_POOL_BYTES (8u * 1024 * 1024)
#define DOCUMENT_BYTES_MAX 512

static const char *const kinds[] = {
    [BODY_FILLER] = "filler", [BODY_RANDOM] = "random", [BODY_JSON] = "json"};

bool body_kind_find(const char *name, enum body_kind *ret_kind)
{
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i]) != 0)
            continue;
        *ret_kind = (enum body_kind)i;
        return true;
    }
    return false;
}

/* A body is cut from a place within the first so many bytes of the pool. */
static size_t body_pool_span(const struct body_pool *p)
{
    return p->kind == BODY_JSON ? JSON_POOL_BYTES : POOL_BYTES;
}

/* Makes an order such as a shop would send: some 250 bytes and the end of the line. */
static size_t body_document(struct chance *c, uint64_t n, char *out)
{
    static const char *const status[] = {"placed", "paid", "packed", "shipped", "returned"};
    static const char *const city[] = {"Lisbon", "Oslo", "Turin", "Graz", "Leeds", "Gent", "Brno"};
    int len = snprintf(
        out, DOCUMENT_BYTES_MAX,
        "{\"order\":%llu,\"customer\":\"c-%06llu\",\"status\":\"%s\",\"placed\":\"2026-%02llu-%02lluT%02llu:%02llu:"
        "%02lluZ\",\"items\":[{\"sku\":\"A-%04llu\",\"quantity\":%llu,\"cents\":%llu},{\"sku\":\"B-%04llu\",\"quantity\":1,"
        "\"cents\":%llu}],\"ship_to\":{\"city\":\"%s\",\"zip\":\"%05llu\"},\"trace\":\"%016llx\"}\n",
        100000ULL + n, (unsigned long long)chance_below(c, 1000000), status[chance_below(c, 5)],
        1ULL + chance_below(c, 12), 1ULL + chance_below(c, 28), (unsigned long long)chance_below(c, 24),
        (unsigned long long)chance_below(c, 60), (unsigned long long)chance_below(c, 60),
        (unsigned long long)chance_below(c, 3000), 1ULL + chance_below(c, 9),
        (unsigned long long)chance_below(c, 20000), (unsigned long long)chance_below(c, 3000),
        (unsigned long long)chance_below(c, 20000), city[chance_below(c, 7)],
        (unsigned long long)chance_below(c, 100000), (unsigned long long)chance_next(c));
    assert(len > 0 && len < DOCUMENT_BYTES_MAX);
    return (size_t)len;
}

static void body_fill_random(uint8_t *out, size_t size, struct chance *c)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t v = chance_next(c);
        memcpy(out + at, &v, size - at < 8 ? size - at : 8);
    }
}

static void body_fill_json(struct body_pool *p, struct chance *c)
{
    char text[DOCUMENT_BYTES_MAX];
    uint64_t n = 0;
    for (size_t at = 0, len; at < p->len; at += len) {
        len = body_document(c, n++, text);
        len = len < p->len - at ? len : p->len - at;
        memcpy(p->bytes + at, text, len);
    }
}

bool body_pool_init(struct body_pool *p, enum body_kind kind, size_t most, uint64_t seed)
{
    struct chance c = chance_from(seed, UINT64_MAX - 1);
    *p = (struct body_pool){.kind = kind, .most = most, .seed = seed};
    p->len = most + body_pool_span(p) + DOCUMENT_BYTES_MAX;
    p->bytes = malloc(p->len);
    if (p->bytes && kind == BODY_JSON)
        body_fill_json(p, &c);
    for (size_t i = 0; p->bytes && kind != BODY_JSON && i < p->len; i++)
        p->bytes[i] = (uint8_t)chance_next(&c);
    return p->bytes != NULL;
}

void body_pool_fini(struct body_pool *p)
{
    free(p->bytes);
    *p = (struct body_pool){0};
}

static void body_put(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

/* The checksum; never 0, which means that there is none. */
static uint64_t body_sum_of(const uint8_t *body, size_t size)
{
    uint64_t sum = text_hash(slice_of(body + 8, size - 8));
    return sum ? sum : 1;
}

void body_patch(const struct body_head *head, uint8_t *out, size_t size)
{
    if (size < BODY_HEAD_BYTES)
        return;
    body_put(out, 0, 8);
    body_put(out + 8, head->run, 4);
    body_put(out + 12, head->key, 4);
    body_put(out + 16, head->seq, 8);
    body_put(out + 24, (uint64_t)head->stamp_ns, 8);
}

/* A place in the pool. With json an order begins there, or after the head if the body has one. */
static const uint8_t *body_cut(const struct body_pool *p, struct chance *c, size_t size)
{
    const uint8_t *from = p->bytes + chance_below(c, body_pool_span(p));
    if (p->kind != BODY_JSON)
        return from;
    const uint8_t *document = (const uint8_t *)memchr(from, '\n', DOCUMENT_BYTES_MAX) + 1;
    return size < BODY_HEAD_BYTES ? document : document - BODY_HEAD_BYTES;
}

void body_make(const struct body_pool *p, const struct body_head *head, bool summed, uint8_t *out,
               size_t size)
{
    assert(size <= p->most);
    struct chance c = chance_from(p->seed ^ head->seq, head->key);
    if (p->kind == BODY_RANDOM)
        body_fill_random(out, size, &c);
    else if (size > 0)
        memcpy(out, body_cut(p, &c, size), size);
    body_patch(head, out, size);
    if (summed && size >= BODY_HEAD_BYTES)
        body_put(out, body_sum_of(out, size), 8);
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
    return body.len >= BODY_HEAD_BYTES && cursor_u64(&c) == body_sum_of(body.data, body.len);
}
