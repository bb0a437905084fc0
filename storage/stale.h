/*
 * stale.h: rows that are over by their own time, and go when the store tidies up.
 *
 *   D  until dedup_window is over           X  decided, until txn_outcome_retention is over
 *
 * Such rows need no timer of their own: who reads one looks at its time and takes it for gone, so it does
 * not matter when it goes. A timer row each would cost two more rows a message: one to put, one to take away.
 */
#ifndef HALFMQ_STORAGE_STALE_H
#define HALFMQ_STORAGE_STALE_H

#include "storage/kv.h"

/* A kv_stale_fn; keep_ms is txn_outcome_retention. */
bool row_stale(struct slice key, struct slice value, int64_t now_ms, int64_t keep_ms);

#endif
