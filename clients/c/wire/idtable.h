/*
 * idtable.h: pending calls by id. Chains in buckets, a power of two of them; ids ascend, so their low
 * bits spread evenly. Where growing gets no memory the chains become longer, and nothing fails.
 */
#ifndef HALFMQ_CLIENTS_C_IDTABLE_H
#define HALFMQ_CLIENTS_C_IDTABLE_H

#include "clients/c/wire/call.h"

struct idtable {
    struct call **buckets;
    size_t n, size;
};

bool idtable_init(struct idtable *t); /* false: no memory */
void idtable_fini(struct idtable *t); /* must be empty */
void idtable_add(struct idtable *t, struct call *call);

/* NULL where there is none; the call stays in the table. */
struct call *idtable_find(struct idtable *t, uint64_t id);
void idtable_remove(struct idtable *t, struct call *call);

#endif
