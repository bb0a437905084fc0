/*
 * verdict.h: what POP does with each message that a group has never got, where the group has a FILTER, is ORDERED, or the
 * topic has priorities. Any other group takes all of them, and asks nothing.
 *
 *   messages   a1  b1  a2  .   b2        FILTER TAG: those without the tag are passed; ORDERED: a2 is behind a1
 *   verdict    TAKE    HOLD              TAKE   lease it
 *                  DROP    DROP  TAKE    DROP   the group does not want it: the cursor passes it, and nothing is written
 *                                        HOLD   not now, as its key is held: the cursor passes it, and it is written down
 *                                        FULL   as HOLD, but too many were written down already: the queue waits
 *                                        STOP   nobody knows yet (FILTER WHERE, sift.h): the cursor stays, and since
 *                                               the oldest go first, the POP ends
 *
 * A judge is made for one record at a time (judge_begin), which finds its columns, and then asked of its messages in order.
 * To add a reason: a field that judge_begin fills in, a line in judge_message.
 */
#ifndef HALFMQ_STORAGE_VERDICT_H
#define HALFMQ_STORAGE_VERDICT_H

#include "storage/group/ranked.h"
#include "storage/model/log_columns.h"

enum pop_verdict { VERDICT_TAKE, VERDICT_DROP, VERDICT_HOLD, VERDICT_FULL, VERDICT_STOP };

struct judge {
    const struct gt *gt;
    uint32_t queue;
    uint64_t base;                 /* of the record */
    const struct columns *columns; /* good as long as log_columns says */
    const uint8_t *wanted;         /* FILTER TAG: bit i: messages with the tag at place i; NULL: no such filter */
    const struct sifts *sifts;     /* FILTER WHERE: what was found out for this POP ... */
    const struct sift_range *range; /* ... and the range of the message before */
};

/* True where messages of the group need a verdict. */
static inline bool judge_needed(const struct gt *gt)
{
    return gt->filter_kind != FILTER_NONE || gt->order || ranked(gt);
}

/* Gets ready for messages of the record that log_locate has found as info. Where its columns cannot be read at all, its
 * messages count as if they had none: reading them will tell. ST_IO, ST_NOMEM. */
enum status judge_begin(struct judge *j, struct state *st, const struct gt *gt, uint32_t queue,
                        const struct record_info *info) MUST_CHECK;

/* The first offset from..end-1 of the record that has a message of the class; end: there is none. */
uint64_t judge_seek(const struct judge *j, uint8_t class, uint64_t from, uint64_t end);

/* About the message at offset, which is in the record. */
enum pop_verdict judge_message(struct judge *j, uint64_t offset);

#endif
