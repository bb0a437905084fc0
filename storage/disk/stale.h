/*
 * stale.h: rows that have ended by their own time; a compaction drops them.
 *
 *   D  until dedup_window is over
 *   I  until retention has deleted all messages of the topic that were stored when its message was, or earlier
 *   O  until txn_outcome_retention is over
 *   X  while young, until the ring has given it up: it was decided (O) or settled (a newer X) since (young.h)
 *
 * In the mark, keep_ms is txn_outcome_retention and floor is meta.young. What may be hidden by damage
 * is never stale: without its outcome, a young row that can be read again would be an open transaction.
 *
 * Such rows need no timer: whoever reads one compares its time and treats it as gone, so it does not matter when it
 * is dropped. Where no compaction comes by itself, kv_stale.h begins one. A timer would cost two more writes a message, one to put its row and one to delete it.
 */
#ifndef HALFMQ_STORAGE_STALE_H
#define HALFMQ_STORAGE_STALE_H

#include "storage/disk/kv.h"

bool row_stale(struct slice key, struct slice value, const struct kv_mark *mark);

#endif
