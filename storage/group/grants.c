/* grants.c: writes what POP leased into an outcome (grants.h). */
#include "storage/group/grants.h"

#include <stdlib.h>

bool grants_reserve(struct outcome *o, uint32_t n)
{
    if (!o->grants)
        o->grants = malloc(n * sizeof(*o->grants)); /* not zeroed: there may be thousands, most of them unused */
    return o->grants != NULL;
}

/* Until grants_seal the slices hold offsets into text, because text may still move. */
void grants_add(struct outcome *o, const struct topic *t, const struct run *r)
{
    assert(o->n_grants < GRANTS_MAX);
    struct grant *g = &o->grants[o->n_grants++];
    while (o->text.len % sizeof(uint64_t))
        buf_put_u8(&o->text, 0);
    g->bits = (uint64_t *)(uintptr_t)o->text.len;
    buf_put(&o->text, r->bits, (r->count + 63) / 64 * sizeof(uint64_t));
    g->topic = slice_of((const uint8_t *)(uintptr_t)o->text.len, t->name.len);
    buf_put_slice(&o->text, t->name);
    g->topic_id = t->id;
    g->compress = t->compress;
    g->queue = r->queue;
    g->base = r->base;
    g->count = r->count;
    g->attempt = r->attempt;
    g->lease_until_ms = r->due_ms;
}

bool grants_seal(struct outcome *o)
{
    if (o->text.failed)
        return false;
    for (uint32_t i = 0; i < o->n_grants; i++) {
        struct grant *g = &o->grants[i];
        g->bits = (uint64_t *)(void *)(o->text.data + (uintptr_t)g->bits);
        g->topic.data = o->text.data + (uintptr_t)g->topic.data;
    }
    return true;
}
