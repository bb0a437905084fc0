/* pop_fresh.h: the half of POP that takes messages which the group never got (pop_take.h). */
#ifndef HALFMQ_STORAGE_APPLY_POP_FRESH_H
#define HALFMQ_STORAGE_APPLY_POP_FRESH_H

#include "storage/apply/pop_take.h"

/* Takes fresh messages of gt, oldest first over all its queues, until the caller has enough. */
void pop_fresh(struct pop *p, struct gt *gt);

#endif
