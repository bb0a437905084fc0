/*
 * sift.h: FILTER WHERE: which messages of a queue match. Messages are looked at by whoever has a view of the store, and not
 * by apply, which reads none:
 *
 *   POP ──► apply: nobody has looked at these messages (out->sift)
 *    ▲                                   │
 *    │                    sifter (query.h): reads messages from the cursors on, asks the filter of each
 *    └── the same POP, with the ranges that were looked at (command.sifted) ◄──┘
 *
 *   sifted   range │ range │ ...     of one group on a topic, one version of its filter and one queue; a bit a message
 *
 * Apply uses a range only where the group's filter is still of that version and the message at the cursor is in it. So a
 * sift that comes too late does no harm; apply asks again. Two replicas that apply the same POP with the same sift do the
 * same, and neither evaluates anything.
 *
 *   ADVANCE   stretch │ stretch │ ...   moves a group on that nobody asks for messages (struct sift_stretch)
 */
#ifndef HALFMQ_STORAGE_SIFT_H
#define HALFMQ_STORAGE_SIFT_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/status.h"

#define SIFT_MESSAGES_MAX 20000 /* that are looked at for one POP; then it looks what it got, and goes on */
#define SIFT_RANGES_MAX 4096

/* From which messages on apply needs to know. */
struct sift_want {
    uint32_t topic; /* of those that the POP names, from 0 */
    uint32_t queue;
    uint64_t at;
};

struct sift_range {
    uint64_t gt, filter_ref;
    uint32_t queue;
    uint32_t count; /* messages from..from+count-1 */
    uint64_t from;
    const uint8_t *bits; /* bit i: message from+i matches */
};

/* For ADVANCE: nobody needs a bit a message where none matches. "No message of the class in from..to-1 of the queue passes
 * the filter." That is true whatever the group's cursors are, so it stays true when they move. */
struct sift_stretch {
    uint64_t gt, filter_ref;
    uint32_t queue;
    uint8_t class; /* SIFT_ANY_CLASS: of all classes */
    uint64_t from, to;
};

#define SIFT_ANY_CLASS 255

#define ADVANCE_LEAST 100 /* the broker moves groups on that are at least so many messages behind */

void sift_stretch_put(struct buf *b, const struct sift_stretch *s);

/* The next one at the cursor. False: the end, or what is there is none. */
bool sift_stretch_next(struct cursor *c, struct sift_stretch *ret_s);

/* Appends a range of no message; it is the last one until the next. Returns where it is. */
size_t sift_range_begin(struct buf *b, const struct sift_range *r);

/* Appends the next message of the range that begins at `at`. */
void sift_range_add(struct buf *b, size_t at, bool matches);

/* The ranges of a command, for look-ups. */
struct sifts {
    struct buf ranges; /* struct sift_range each, by gt, queue and from */
    uint32_t n;
};

void sifts_init(struct sifts *s);

/* ST_NOMEM. What is malformed is left out. The ranges point into bytes. */
enum status sifts_open(struct sifts *s, struct slice bytes) MUST_CHECK;
void sifts_free(struct sifts *s);

/* The range that has the message. NULL: nobody has looked at it. */
const struct sift_range *sifts_find(const struct sifts *s, uint64_t gt, uint64_t filter_ref, uint32_t queue,
                                    uint64_t offset);

static inline bool sift_has(const struct sift_range *r, uint64_t offset)
{
    uint64_t i = offset - r->from;
    return (r->bits[i / 8] >> (i % 8)) & 1;
}

#endif
