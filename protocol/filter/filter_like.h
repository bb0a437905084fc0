/* filter_like.h: LIKE: % is any text, _ is one character. */
#ifndef HALFMQ_PROTOCOL_FILTER_LIKE_H
#define HALFMQ_PROTOCOL_FILTER_LIKE_H

#include "protocol/filter/filter_code.h"

/* Does all of the text fit the pattern? A character is one of UTF-8; a byte that belongs to none is one by itself.
 * escape: empty where there is none; the pattern was checked against it. *steps counts down; UNKNOWN: it came to 0. */
enum filter_truth filter_like(struct slice text, struct slice pattern, struct slice escape, uint32_t *steps);

#endif
