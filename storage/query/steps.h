/*
 * steps.h: queries in steps: lists over so many rows that no thread should read them all at once.
 *
 *   step 1..   counts the items               a container announces how many values follow, so they are counted first
 *   step ..n   appends them, row by row
 *
 * Each step looks at STEP_ROWS rows, remembers in v->steps the row to go on with, and sets v->step. The snapshot is the
 * same in all steps, so both passes see the same items.
 *
 * To cut another query into steps: a list_fn, and a handler that calls steps_list and steps_end. What it keeps from one
 * step to the next is in steps.own.
 */
#ifndef HALFMQ_STORAGE_QUERY_STEPS_H
#define HALFMQ_STORAGE_QUERY_STEPS_H

#include "storage/query/view.h"

#define STEP_ROWS 2000 /* in one step: some milliseconds */

/* Forgets the last query of this view. */
void steps_begin(struct view *v);

/*
 * Looks at the row that the iterator stands on: ST_OK, it is an item, and was appended to out (NULL: it is only counted);
 * ST_GONE, it is none; ST_BUSY, the budget ended amid it, so it comes again in the next step, and nothing was appended.
 * It may move the iterator on, to the last row that belongs to the item. What it reads it takes from v->budget.
 */
typedef enum status list_fn(struct view *v, const void *arg, struct kv_iter *it, struct buf *out);

/* The next step of a list of all rows with the prefix, as an array. ST_BUSY: there is more; ST_GONE: there are no items,
 * and nothing was appended. */
enum status steps_list(struct view *v, const struct key *prefix, list_fn *fn, const void *arg, struct buf *reply) MUST_CHECK;

/* Ends a step with s, as view_refuse does where it failed; ST_BUSY: it is not the last one. */
void steps_end(struct view *v, enum status s, struct buf *reply, const char *what, struct slice name);

#endif
