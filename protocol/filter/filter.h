/*
 * filter.h: FILTER WHERE: an expression is parsed once, and then asked of one message after the other.
 *
 *   "price >= 10 AND color IN ('red', 'blue')"
 *      │ filter_parse             one block of memory: operations for a machine with a stack
 *      ▼
 *   struct filter ──► filter_matches(filter, message) ──► true: the group gets it
 *
 * The language is a part of SQL-92. PROTOCOL.md has it for users; in short:
 *
 *   condition    comparison | x [NOT] BETWEEN a AND b | x [NOT] IN (a, b, ...) | x [NOT] LIKE 'pattern' [ESCAPE 'c']
 *                | x IS [NOT] NULL | TRUE | FALSE | a name | NOT condition | condition AND condition | ... OR ...
 *   comparison   x = y   x <> y   x != y   x < y   x <= y   x > y   x >= y
 *   x            a number, 'a text', a name, ( ... ), and + - * / of them
 *   a name       one of the attributes topic tag key order priority queue offset born stored (in any case), else a
 *                property; "in quotes" always a property
 *
 * A condition is true, false or unknown. A property that a message does not have is NULL, and whatever is done with NULL
 * is unknown, except IS NULL. Where one side of a comparison is a number, both are compared as numbers, and a property
 * whose text is no number is unknown. NOT unknown is unknown, and a message matches only where the whole is true.
 *
 * Evaluating allocates nothing, and its cost is bounded (FILTER_WORK_MAX).
 */
#ifndef HALFMQ_PROTOCOL_FILTER_H
#define HALFMQ_PROTOCOL_FILTER_H

#include "protocol/base/complaint.h"
#include "protocol/record/message.h"

#define FILTER_DEPTH_MAX 100    /* brackets and NOTs within one another */
#define FILTER_NAMES_MAX 64     /* different properties */
#define FILTER_WORK_MAX 1000000 /* steps that all LIKEs take in one message; beyond that they are unknown */

struct filter;

/* Parses an expression, of which nothing is borrowed. ST_OK: *ret_f is to be freed with free(). ST_ERR: `say` has where
 * and why; ST_TOOBIG: it has more than FILTER_BYTES_MAX bytes; ST_NOMEM. */
enum status filter_parse(struct slice text, struct filter **ret_f, struct complaint say) MUST_CHECK;

/* Checks only. */
enum status filter_check(struct slice text, struct complaint say) MUST_CHECK;

/* A message with its place. */
struct filter_subject {
    const struct message *m;
    struct slice topic;
    uint32_t queue;
    uint64_t offset;
    int64_t stored_ms;
};

/* Adds to *work about how long it took: 1 for each operation, property, or 16 bytes that were looked at (one takes some
 * nanoseconds). */
bool filter_matches(const struct filter *f, const struct filter_subject *s, uint64_t *work);

#endif
