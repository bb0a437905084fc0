/*
 * attempts.h: which attempt numbers deleted groups have used, so that a group of the same name goes on behind them.
 *
 *   GROUP DELETE, TOPIC DELETE   bucket of (group, topic) := max(bucket, highest number the group has given out)
 *   the group is created again   its attempt base := bucket; its first delivery has base + 1
 *
 * A receipt names a message and an attempt, and after a deletion both names can come again: the group's, and, with the
 * topic, the message's. As no number is given twice, an old receipt is stale, and never acknowledges what another
 * consumer holds. Names of deleted groups are not kept: the bucket is a hash of them, so that rows are bounded. Where
 * two names share a bucket, the one created later begins higher than it would need to, which is harmless.
 */
#ifndef HALFMQ_STORAGE_ATTEMPTS_H
#define HALFMQ_STORAGE_ATTEMPTS_H

#include "storage/disk/overlay.h"

/* A higher base has no room for the attempts of one message: such a group cannot be created any more. */
#define ATTEMPT_BASE_MAX (UINT32_MAX - 2 * ATTEMPTS_MAX)

/* name: group 0 topic. *ret_top: the highest number used by deleted groups of that name; 0: none. ST_IO, ST_NOMEM. */
enum status attempts_used(struct overlay *o, struct slice name, uint32_t *ret_top) MUST_CHECK;

/* Remembers that numbers up to top were used, before the group is deleted. ST_IO, ST_NOMEM: it is not remembered. */
enum status attempts_leave(struct overlay *o, struct slice name, uint32_t top) MUST_CHECK;

#endif
