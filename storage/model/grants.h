/* grants.h: fills in the grants of an outcome (storage/outcome.h): what a POP has leased. */
#ifndef HALFMQ_STORAGE_GRANTS_H
#define HALFMQ_STORAGE_GRANTS_H

#include "storage/model/run.h"

/* Room for n grants, before anything is leased; false: no memory. */
bool grants_reserve(struct outcome *o, uint32_t n);

/* Adds what a run holds. Its slices are good after grants_seal only. */
void grants_add(struct outcome *o, const struct topic *t, const struct run *r);

/* False: memory ran out; the group is to be given up. */
bool grants_seal(struct outcome *o);

#endif
