/*
 * dedup.h: the same DEDUP id to the same topic inside the window gets the first answer again.
 *
 * A row holds the answer and until when it counts; a timer row clears it away later. Whether it counts
 * is decided by its own time, so that a late timer changes nothing.
 */
#ifndef HALFMQ_STORAGE_DEDUP_H
#define HALFMQ_STORAGE_DEDUP_H

#include "storage/timer.h"
#include "storage/topic.h"

/* ST_OK: the first answer is appended to ret_answer. ST_GONE: it is new. ST_IO, ST_NOMEM. */
enum status dedup_find(struct state *st, const struct stamp *stamp, const struct topic *t,
                       struct slice id, struct buf *ret_answer) MUST_CHECK;

void dedup_remember(struct state *st, const struct stamp *stamp, const struct topic *t, struct slice id,
                    const struct buf *answer);

/* Its timer fired: what is a row's key behind the kind byte. */
void dedup_tick(struct state *st, int64_t now_ms, struct slice what);

#endif
