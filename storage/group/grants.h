/* grants.h: fills in the grants of an outcome (storage/outcome.h): what a POP has leased. */
#ifndef HALFMQ_STORAGE_GRANTS_H
#define HALFMQ_STORAGE_GRANTS_H

#include "storage/group/run.h"

/* Makes room for n grants, before anything is leased. False: no memory. */
bool grants_reserve(struct outcome *o, uint32_t n);

/* Adds a grant of all messages of a run. Its slices are good only after grants_seal. */
void grants_add(struct outcome *o, const struct topic *t, const struct run *r);

/* Turns offsets into slices. False: memory ran out, and the group must be given up. */
bool grants_seal(struct outcome *o);

#endif
