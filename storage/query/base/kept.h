/*
 * kept.h: which messages of v->topic were not removed one by one (storage/model/removal.h). A topic without removed ones
 * costs one comparison.
 */
#ifndef HALFMQ_STORAGE_QUERY_KEPT_H
#define HALFMQ_STORAGE_QUERY_KEPT_H

#include "storage/query/base/view.h"

/* Moves *offset, which is not below the floor, to the first message at or behind it that was not removed: it may be the
 * end of the queue. ST_IO, ST_NOMEM. */
enum status kept_next(struct view *v, uint32_t queue, uint64_t *offset) MUST_CHECK;

/* Moves *offset to the first message at or behind it that was removed; `to`: there is none before that. */
enum status kept_end(struct view *v, uint32_t queue, uint64_t to, uint64_t *offset) MUST_CHECK;

/* Counts the removed messages in from..to-1. */
enum status kept_not(struct view *v, uint32_t queue, uint64_t from, uint64_t to, uint64_t *ret_n) MUST_CHECK;

#endif
