/* outcome.h: filling in what a command comes to. Apply's side of struct outcome (state.h). */
#ifndef HALFMQ_STORAGE_OUTCOME_H
#define HALFMQ_STORAGE_OUTCOME_H

#include "storage/model/run.h"

/* Room for n grants, before anything is leased; false: no memory. */
bool outcome_reserve(struct outcome *o, uint32_t n);

/* Adds what a run holds. Its slices are good after outcome_seal only. */
void outcome_grant(struct outcome *o, const struct topic *t, const struct run *r);

/* False: memory ran out; the group is to be given up. */
bool outcome_seal(struct outcome *o);

#endif
