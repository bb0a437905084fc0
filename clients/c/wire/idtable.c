/*
 * idtable.c: see idtable.h.
 */
#include "clients/c/wire/idtable.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_FIRST 256

bool idtable_init(struct idtable *t)
{
    *t = (struct idtable){.buckets = calloc(BUCKETS_FIRST, sizeof(struct call *)),
                          .size = BUCKETS_FIRST};
    return t->buckets != NULL;
}

void idtable_fini(struct idtable *t)
{
    assert(t->n == 0);
    free(t->buckets);
    *t = (struct idtable){0};
}

static void chain(struct idtable *t, struct call *call)
{
    struct call **bucket = &t->buckets[call->id & (t->size - 1)];
    call->id_next = *bucket;
    *bucket = call;
}

static void grow(struct idtable *t)
{
    struct call **old = t->buckets;
    size_t old_size = t->size;
    struct call **buckets = calloc(old_size * 2, sizeof(struct call *));
    if (!buckets)
        return;
    t->buckets = buckets;
    t->size = old_size * 2;
    for (size_t i = 0; i < old_size; i++) {
        for (struct call *call = old[i], *next; call; call = next) {
            next = call->id_next;
            chain(t, call);
        }
    }
    free(old);
}

void idtable_add(struct idtable *t, struct call *call)
{
    if (t->n >= t->size)
        grow(t);
    chain(t, call);
    t->n++;
}

struct call *idtable_find(struct idtable *t, uint64_t id)
{
    struct call *call = t->buckets[id & (t->size - 1)];
    while (call && call->id != id)
        call = call->id_next;
    return call;
}

void idtable_remove(struct idtable *t, struct call *call)
{
    struct call **at = &t->buckets[call->id & (t->size - 1)];
    while (*at != call) {
        assert(*at);
        at = &(*at)->id_next;
    }
    *at = call->id_next;
    call->id_next = NULL;
    t->n--;
}
