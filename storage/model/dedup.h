/*
 * dedup.h: the same DEDUP id to the same topic inside the window gets the first answer again.
 *
 * A row has the answer and the time until which it is valid. A compaction drops it later (stale.h).
 */
#ifndef HALFMQ_STORAGE_DEDUP_H
#define HALFMQ_STORAGE_DEDUP_H

#include "storage/model/topic.h"

/* ST_OK: the first answer is appended to ret_answer. ST_GONE: it is new. ST_IO, ST_NOMEM. */
enum status dedup_find(struct state *st, const struct stamp *stamp, const struct topic *t,
                       struct slice id, struct buf *ret_answer) MUST_CHECK;

void dedup_remember(struct state *st, const struct stamp *stamp, const struct topic *t, struct slice id,
                    const struct buf *answer);

#endif
