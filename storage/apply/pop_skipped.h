/* pop_skipped.h: the part of POP that takes messages which an ordered group has passed over (pop_take.h). */
#ifndef HALFMQ_STORAGE_APPLY_POP_SKIPPED_H
#define HALFMQ_STORAGE_APPLY_POP_SKIPPED_H

#include "storage/apply/pop_take.h"

/* Takes messages of gt, which is ordered, that were skipped and whose keys are free, until the caller has enough. */
void pop_skipped(struct pop *p, struct gt *gt);

#endif
