/* locate.h: which offset a position in a queue of v->topic is (protocol/base/position.h). */
#ifndef HALFMQ_STORAGE_QUERY_LOCATE_H
#define HALFMQ_STORAGE_QUERY_LOCATE_H

#include "protocol/base/position.h"
#include "storage/query/base/view.h"

/* The offset is not below the floor; where the position is an offset, it may be behind the end. The queue exists.
 * ST_IO, ST_NOMEM, ST_DAMAGED. */
enum status locate_position(struct view *v, uint32_t queue, const struct position *p, uint64_t *ret_offset) MUST_CHECK;

#endif
