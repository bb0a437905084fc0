/*
 * check_timer.h: the timer indexes: each row W is one of its kind, and what waits for its time has its row.
 *
 * A row whose work could not be done when it was due lies elsewhere in its index, with a value that says when it was due at
 * first (storage/model/timer.h). These are few: they are looked for one by one, where the row itself is missing.
 */
#ifndef HALFMQ_STORAGE_CHECK_TIMER_H
#define HALFMQ_STORAGE_CHECK_TIMER_H

#include "storage/check/check_base.h"
#include "storage/model/timer.h"

/* The form of each row; and how many of each kind were postponed. */
void check_timer_all(struct checking *c);

/* Is there that reminder, at its time or postponed? */
bool check_timer_has(struct checking *c, enum timer_kind kind, int64_t due_ms, struct slice what);

/* Will the rows of a gt be deleted, which is left over (storage/group/gone.h)? Of all gts of a topic, id is that of the topic, name
 * its name, and at the group; of all gts of a group, id is that of the gt, name that of the group, and at the topic. */
bool check_timer_gone(struct checking *c, enum timer_kind kind, uint64_t id, struct slice name, struct slice at);

#endif
