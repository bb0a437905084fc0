/* table.c: see table.h. */
#include "storage/disk/table.h"

#include <assert.h>
#include <stdlib.h>

#define TABLE_SIZE_MIN 64

void table_init(struct table *t, struct slice (*name_of)(const void *item))
{
    *t = (struct table){.name_of = name_of};
}

void table_fini(struct table *t)
{
    free(t->slots);
    free(t->hashes);
    table_init(t, t->name_of);
}

static uint32_t table_place(const struct table *t, uint64_t hash)
{
    return (uint32_t)hash & (t->size - 1);
}

/* The slot that holds the name, or the free slot where it would go. */
static uint32_t table_slot(const struct table *t, uint64_t hash, struct slice name)
{
    uint32_t i = table_place(t, hash);
    while (t->slots[i] && !(t->hashes[i] == hash && slice_equal(t->name_of(t->slots[i]), name)))
        i = (i + 1) & (t->size - 1);
    return i;
}

void *table_find(const struct table *t, uint64_t hash, struct slice name)
{
    return t->n ? t->slots[table_slot(t, hash, name)] : NULL;
}

static bool table_grow(struct table *t)
{
    uint32_t size = t->size ? t->size * 2 : TABLE_SIZE_MIN;
    struct table bigger = {calloc(size, sizeof(void *)), calloc(size, sizeof(uint64_t)), size, t->n,
                           t->name_of};
    if (!bigger.slots || !bigger.hashes) {
        free(bigger.slots);
        free(bigger.hashes);
        return false;
    }
    for (uint32_t i = 0; i < t->size; i++) {
        if (!t->slots[i])
            continue;
        uint32_t at = table_slot(&bigger, t->hashes[i], t->name_of(t->slots[i]));
        bigger.slots[at] = t->slots[i];
        bigger.hashes[at] = t->hashes[i];
    }
    free(t->slots);
    free(t->hashes);
    *t = bigger;
    return true;
}

bool table_add(struct table *t, uint64_t hash, void *item)
{
    if (t->n >= t->size / 4 * 3 && !table_grow(t))
        return false;
    uint32_t at = table_slot(t, hash, t->name_of(item));
    assert(!t->slots[at]);
    t->slots[at] = item;
    t->hashes[at] = hash;
    t->n++;
    return true;
}

void table_remove(struct table *t, uint64_t hash, struct slice name)
{
    if (!t->n)
        return;
    uint32_t hole = table_slot(t, hash, name);
    if (!t->slots[hole])
        return;
    t->n--;
    t->slots[hole] = NULL;
    uint32_t mask = t->size - 1;
    for (uint32_t i = (hole + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
        /* An item may fill the hole unless its own place lies between the hole and where it is. */
        if (((i - table_place(t, t->hashes[i])) & mask) < ((i - hole) & mask))
            continue;
        t->slots[hole] = t->slots[i];
        t->hashes[hole] = t->hashes[i];
        t->slots[i] = NULL;
        hole = i;
    }
}

void *table_next(const struct table *t, uint32_t *at)
{
    while (*at < t->size) {
        void *item = t->slots[(*at)++];
        if (item)
            return item;
    }
    return NULL;
}
