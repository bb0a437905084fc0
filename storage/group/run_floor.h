/*
 * run_floor.h: runs, or parts of them, whose messages are gone because a floor was raised (model/cut.h).
 *
 *   queue     0 ........ floor ............. next       [a a│a a a] leased, half below the floor: the rest stays leased
 *                     ▲ deleted below
 *
 * Receipts for what is gone are stale. Leased runs are looked at when their group is used next, waiting ones when their
 * turn comes.
 */
#ifndef HALFMQ_STORAGE_RUN_FLOOR_H
#define HALFMQ_STORAGE_RUN_FLOOR_H

#include "storage/group/run.h"

/* Takes what is below the floor out of a run; r must not be used any more, where that is something. ST_NOMEM: unchanged. */
enum status run_floor_one(struct runs *rs, struct run *r, uint64_t floor) MUST_CHECK;

/* ... out of all leased runs of a queue. *ret_changed is set where that was something. ST_NOMEM. */
enum status run_floor_leased(struct runs *rs, uint32_t queue, uint64_t floor, bool *ret_changed) MUST_CHECK;

#endif
