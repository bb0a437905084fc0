/*
 * stale.h: rows that are over by their own time, and go when the store tidies up.
 *
 *   D  until dedup_window is over
 *   O  until txn_outcome_retention is over
 *   X  young, until the ring has let go of it: it was decided (O) or settled (a newer X) since (young.h)
 *
 * In the mark, keep_ms is txn_outcome_retention and floor is meta.young.
 *
 * Such rows need no timer of their own: who reads one looks at its time and takes it for gone, so it does
 * not matter when it goes. A timer row each would cost two more rows a message: one to put, one to take away.
 */
#ifndef HALFMQ_STORAGE_STALE_H
#define HALFMQ_STORAGE_STALE_H

#include "storage/disk/kv.h"

bool row_stale(struct slice key, struct slice value, const struct kv_mark *mark);

#endif
