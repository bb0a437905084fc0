/*
 * run_rows.h: runs as rows.
 *
 *   R gt, queue, base        → a leased run       all are read when the group is loaded
 *   V gt, due, queue, base   → a waiting one      read when its turn comes (waiting.h)
 *   C gt                     → the counts of both, and where each begins: so that no scan meets the deletion marks of
 *                              what was leased or waited before
 */
#ifndef HALFMQ_STORAGE_RUN_ROWS_H
#define HALFMQ_STORAGE_RUN_ROWS_H

#include "storage/group/run.h"

/* Fills in what the cursor row says of the runs. row has its queues and their cursors. */
void runs_count(struct runs *rs, struct state *st, uint64_t gt, struct cursor_row *row);

/* Puts the rows of the changed runs of gt into the batch, which is written before the store is read again. */
void runs_flush(struct runs *rs, struct state *st, uint64_t gt);

/* Reads the leased runs of gt into rs, as the cursor row counts them. ST_IO, ST_NOMEM. */
enum status runs_load(struct runs *rs, struct state *st, uint64_t gt, const struct cursor_row *row) MUST_CHECK;

/* Deletes the rows of all runs of gt, and of what it has skipped. */
void runs_delete(struct state *st, uint64_t gt);

#endif
