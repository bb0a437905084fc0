/*
 * dedup.h: the same DEDUP id of the same command to the same topic inside the window gets the first answer again.
 *
 *   SEND, PRODUCE   row D, by topic id and command: an id, a token, a batch's place. It is deleted with its topic
 *   HALF            row U, by the topic's name: the txid. It outlives its topic, as an open transaction does, whose
 *                   COMMIT makes the topic again
 *
 * Each command has ids of its own: an answer of one is not one that another could give. A row has the time until which
 * it is valid. A compaction drops it later (stale.h).
 */
#ifndef HALFMQ_STORAGE_DEDUP_H
#define HALFMQ_STORAGE_DEDUP_H

#include "storage/model/topic.h"

enum dedup_command { DEDUP_SEND = 'S', DEDUP_PRODUCE = 'P' };

/* ST_OK: the first answer is appended to ret_answer. ST_GONE: it is new. ST_IO, ST_NOMEM. */
enum status dedup_find(struct state *st, const struct stamp *stamp, const struct topic *t, enum dedup_command command,
                       struct slice id, struct buf *ret_answer) MUST_CHECK;

void dedup_remember(struct state *st, const struct stamp *stamp, const struct topic *t, enum dedup_command command,
                    struct slice id, const struct buf *answer);

/* The same for HALF. t: the topic of that name, or NULL where there is none. hold is reset and used. */
enum status dedup_half_find(struct state *st, const struct stamp *stamp, struct slice topic, const struct topic *t,
                            struct slice id, struct buf *hold, uint64_t *ret_txid) MUST_CHECK;

void dedup_half_remember(struct state *st, const struct stamp *stamp, const struct topic *t, struct slice id,
                         uint64_t txid);

#endif
