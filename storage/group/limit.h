/*
 * limit.h: what keeps a group on a topic from being delivered messages that are ready.
 *
 *   PAUSE      nothing is delivered. The group on one topic and the whole group can be paused and resumed: what was said
 *              last counts (refs ascend), so PAUSE of a group on a thousand topics is one row
 *   INFLIGHT   at most so many messages are leased at once; one that is acknowledged makes room, which is news
 *   RATE       at most so many a second (rate.h)
 */
#ifndef HALFMQ_STORAGE_LIMIT_H
#define HALFMQ_STORAGE_LIMIT_H

#include "storage/group/group.h"

bool limit_paused(const struct gt *gt);

/* How many messages POP may lease now, at most `want`, where `beside` are leased that count for INFLIGHT, too. *retry_ms becomes earlier where RATE lets more go at a time before
 * it; 0: no time is known. */
uint32_t limit_room(const struct gt *gt, uint64_t beside, int64_t now_ms, uint32_t want, int64_t *retry_ms);

/* n messages were leased now. */
void limit_took(struct state *st, struct gt *gt, int64_t now_ms, uint32_t n);

/* n messages were released that were leased at took_ms (0: nobody knows), since nobody has received them. */
void limit_gave_back(struct state *st, struct gt *gt, int64_t took_ms, int64_t now_ms, uint32_t n);

#endif
