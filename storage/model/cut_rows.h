/*
 * cut_rows.h: deletes the records and rows of the oldest messages of a queue (cut.h).
 *
 *   log, B, F   all records from `first` to before `keep`       point by point where they are few, else as a range: a range
 *   E           all messages from `floor` to before `at`        costs every later read a little until it is compacted
 *   I           nothing: a compaction drops them (stale.h)
 */
#ifndef HALFMQ_STORAGE_CUT_ROWS_H
#define HALFMQ_STORAGE_CUT_ROWS_H

#include "storage/model/topic.h"

struct cut_range {
    uint32_t queue;
    uint64_t first, keep; /* records begin at both, or the queue ends at `keep` */
    uint64_t floor, at;   /* the floor, and what it becomes; both may be inside of a record */
    uint64_t bytes;       /* of those messages, about */
    bool empties;         /* no record is left in the queue */
};

void cut_rows(struct state *st, struct topic *t, const struct cut_range *r);

#endif
