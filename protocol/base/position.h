/*
 * position.h: where reading a queue begins, as READ and STREAM QUEUE take it.
 *
 *   17        that offset                    earliest   the oldest message kept
 *   -5        five before the end            latest     the end: what comes next
 *   @time     the first message stored at that time or later; Unix ms or RFC 3339
 */
#ifndef HALFMQ_PROTOCOL_POSITION_H
#define HALFMQ_PROTOCOL_POSITION_H

#include "protocol/base/slice.h"

enum position_kind { POSITION_OFFSET, POSITION_BEFORE_END, POSITION_TIME };

/* earliest is offset 0, latest is 0 before the end. */
struct position {
    enum position_kind kind;
    int64_t n; /* not negative, but for a time before 1970 */
};

/* False: it is none. */
bool position_parse(struct slice s, struct position *ret_p);

#endif
