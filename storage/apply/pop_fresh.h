/* pop_fresh.h: the half of POP that takes messages which the group never got (pop_take.h). */
#ifndef HALFMQ_STORAGE_APPLY_POP_FRESH_H
#define HALFMQ_STORAGE_APPLY_POP_FRESH_H

#include "storage/apply/pop_take.h"

/* Takes fresh messages of gt until the caller has enough: oldest first over all its queues, or, where the topic has
 * priorities, those of higher classes first, and only of classes above `least` (-1: of all). */
void pop_fresh(struct pop *p, struct gt *gt, int least);

#endif
