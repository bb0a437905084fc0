/*
 * lag_where.h: counts what a group with a FILTER WHERE never got of a queue: messages are read and the filter is asked of
 * them, from the group's cursor on.
 *
 *   cursor │ asked: ready, or not for this group │ unexamined │ end
 *                                                ▲ LAG_EXAMINED_MAX messages, or LAG_WHERE_WORK, of all queues of the group
 *
 * It moves no cursor: that is POP's (storage/sift.h).
 */
#ifndef HALFMQ_STORAGE_LAG_WHERE_H
#define HALFMQ_STORAGE_LAG_WHERE_H

#include "storage/query/lag_fresh.h"

#define LAG_WHERE_WORK 100000 /* as where.work: some milliseconds a group, with 10,000 messages or a few large ones */

/* Counts those of queue f->queue from f->at on. ST_BUSY: the budget of this step has ended, and the next call goes on. */
enum status lag_where_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f) MUST_CHECK;

/* Frees the filter: at the end of each step, and behind each group. */
void lag_where_pause(struct lag_fresh *f);

#endif
