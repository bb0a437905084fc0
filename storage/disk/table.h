/*
 * table.h: a hash table of pointers by name: open addressing, linear probing, no removal marks
 * (a removal closes the gap). The caller owns the items; each tells its name through name_of.
 *
 * Invariant: at most three quarters full; every item is reachable from its hash's slot without a gap.
 */
#ifndef HALFMQ_STORAGE_TABLE_H
#define HALFMQ_STORAGE_TABLE_H

#include "protocol/base/slice.h"

struct table {
    void **slots;
    uint64_t *hashes;
    uint32_t size, n; /* size: a power of two, or 0 */
    struct slice (*name_of)(const void *item);
};

void table_init(struct table *t, struct slice (*name_of)(const void *item));
void table_fini(struct table *t); /* not the items */

void *table_find(const struct table *t, uint64_t hash, struct slice name); /* NULL: not there */
bool table_add(struct table *t, uint64_t hash, void *item);                /* false: no memory */
void table_remove(struct table *t, uint64_t hash, struct slice name);

/* Steps through all items in no useful order: start with *at = 0; NULL at the end. */
void *table_next(const struct table *t, uint32_t *at);

#endif
