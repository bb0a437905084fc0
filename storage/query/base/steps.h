/*
 * steps.h: queries in steps: lists over so many rows that no thread should read them all at once.
 *
 *   all rows (LAG, GROUP LIST, ...)                       so many (FIND, TXN LIST, ...)
 *     step 1..   counts the items                           step 1..   gathers the items, to a limit of bytes
 *     step ..n   appends them, row by row                   step ..n   appends them, piece by piece
 *
 * A container announces how many values follow, so that must be known first. Where the reply may be long, the rows are
 * read twice; the snapshot is the same in all steps, so both passes see the same items. Where it is limited, the items
 * are kept in v->steps->items.
 *
 * Each step looks at STEP_ROWS rows (large ones count for more), remembers in v->steps where to go on, and sets v->step.
 *
 * To cut another query into steps: a list_fn or a gather_fn, and a handler that calls steps_list, or steps_own,
 * steps_gather and steps_put, and ends with steps_end.
 */
#ifndef HALFMQ_STORAGE_QUERY_STEPS_H
#define HALFMQ_STORAGE_QUERY_STEPS_H

#include "storage/query/base/gather.h"
#include "storage/query/base/view.h"

#define STEP_ROWS 2000 /* in one step: some milliseconds */

enum steps_phase { STEPS_LOOK, STEPS_PUT }; /* counts or gathers; appends */

/* Forgets the last query of this view. */
void steps_begin(struct view *v);

/* Makes v->steps, and what the handler keeps there: size bytes, zeroed in the first step. NULL: no memory. */
void *steps_own(struct view *v, size_t size);

/* ---- all rows ---- */

/*
 * Looks at the row that the iterator stands on: ST_OK, it is an item, and was appended to out (NULL: it is only counted);
 * ST_GONE, it is none; ST_BUSY, the budget ended amid it, so it comes again in the next step, and nothing was appended.
 * It may move the iterator on, to the last row that belongs to the item. What it reads it takes from v->budget.
 */
typedef enum status list_fn(struct view *v, const void *arg, struct kv_iter *it, struct buf *out);

/* The next step of a list of all rows with the prefix, as an array. ST_BUSY: there is more; ST_GONE: there are no items,
 * and nothing was appended. */
enum status steps_list(struct view *v, const struct key *prefix, list_fn *fn, const void *arg, struct buf *reply) MUST_CHECK;

/* Goes on over rows until the end (ST_OK) or that of the budget (ST_BUSY: v->steps->at says where to go on; empty: at the
 * first row). Counts its items in v->steps->n where out is NULL, and appends them otherwise. */
typedef enum status walk_fn(struct view *v, const void *arg, struct buf *out);

/* steps_list for rows that are not simply those with a prefix. */
enum status steps_walk(struct view *v, walk_fn *walk, const void *arg, struct buf *reply) MUST_CHECK;

/* ---- so many ---- */

/* Looks at the row that the iterator stands on, and may add it to g. ST_OK, ST_DAMAGED, ST_IO, ST_NOMEM. What it reads it
 * takes from v->budget. */
typedef enum status gather_fn(struct view *v, void *arg, const struct kv_iter *it, struct gather *g);

/* Goes on over rows until g is full or there are no more (ST_OK), or to the end of the budget (ST_BUSY). Frees the
 * iterator; NULL: ST_NOMEM. */
enum status steps_gather(struct view *v, struct kv_iter *it, gather_fn *fn, void *arg, struct gather *g) MUST_CHECK;

/* Appends the next piece of v->steps->items, which are complete, to the reply. The first time an array of n begins before
 * it. ST_BUSY: there is more. */
enum status steps_put(struct view *v, uint64_t n, struct buf *reply) MUST_CHECK;

/* ---- both ---- */

/* Ends a step with s, as view_refuse does where it failed; ST_BUSY: it is not the last one. */
void steps_end(struct view *v, enum status s, struct buf *reply, const char *what, struct slice name);

#endif
