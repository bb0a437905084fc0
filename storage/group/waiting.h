/*
 * waiting.h: the runs of a group that wait for a retry, first due first. They lie on disk; a window of the first ones is
 * in memory.
 *
 *   rows V by place = due, queue, base, since   ────────────────────────────────────────────────►
 *            │ window, at most WAIT_WINDOW_RUNS between commit groups │ on disk only
 *            first                                               window_end
 *
 *   POP      takes from the front; where the window is used up, the next ones are read with one scan
 *   NACK     adds one anywhere; after the group is written, those behind window_end leave memory again, and so do the
 *            last ones where there are too many: window_end moves to the front
 *
 * Invariant: every stored run whose place is before window_end is in memory, and so are all that the open commit group
 * has added. So the first one in memory is the first of all if it is before window_end. Nothing here decides what the
 * rows look like: a larger window gives the same ones.
 */
#ifndef HALFMQ_STORAGE_WAITING_H
#define HALFMQ_STORAGE_WAITING_H

#include "storage/group/run.h"

#define WAIT_WINDOW_RUNS 1024

/* The waiting run that is due first, *ret_run NULL: there is none. It is read if need be. ST_IO, ST_NOMEM. */
enum status waiting_first(struct runs *rs, struct state *st, uint64_t gt, struct run **ret_run) MUST_CHECK;

/* The place before which no run waits. Where the next one cannot be read, it may lie before the first. */
struct wait_place waiting_floor(struct runs *rs, struct state *st, uint64_t gt);

/* Reads all of them into memory, until the commit group is written. ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status waiting_all(struct runs *rs, struct state *st, uint64_t gt) MUST_CHECK;

/* Calls fn with each waiting run that is stored, until it fails; first: where they begin. ST_IO, ST_DAMAGED, ST_NOMEM. */
typedef enum status waiting_fn(void *arg, const struct wait_place *place, const struct run_row *row);
enum status waiting_visit(struct state *st, uint64_t gt, const struct wait_place *first, waiting_fn *fn,
                          void *arg) MUST_CHECK;

/* Lets go of what does not belong into the window. All runs are clean, and nothing reads the store before the commit
 * group is written. */
void waiting_trim(struct runs *rs, uint32_t window);

#endif
