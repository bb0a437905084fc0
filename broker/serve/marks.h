/*
 * marks.h: messages that were leased to a connection by a stream and may still stand in its output: what is not
 * sent when it ends is given back (giveback_marks).
 *
 *   out  ▒▒▒▒▒▒▒▒│ records t:0:0-99 #1 │ answer │ records t:1:7-9 #2 │
 *         sent   └──────── mark ───────┘        └─────── mark ───────┘
 *
 * A ring in the order of the output; a mark is dropped once its bytes are sent. Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_MARKS_H
#define HALFMQ_BROKER_MARKS_H

#include "protocol/status.h"

#include <stdbool.h>
#include <stdint.h>

struct stream;

struct mark {
    uint64_t end; /* conn->sent when it will be out */
    struct stream *stream; /* a reference */
    uint32_t topic; /* place in the stream's command; behind the last: that of redriven messages (redriven.h) */
    uint32_t queue, attempt;
    uint64_t first, last;
    int64_t popped_ms; /* when they were leased */
};

struct marks {
    struct mark *m; /* ring */
    uint32_t first, n, size;
};

/* Puts it behind the others, and takes a reference to its stream. ST_NOMEM. */
enum status marks_add(struct marks *ms, struct mark mark) MUST_CHECK;

/* The i-th mark, from 0. */
static inline const struct mark *marks_at(const struct marks *ms, uint32_t i)
{
    return &ms->m[(ms->first + i) % ms->size];
}

void marks_drop_first(struct marks *ms);

/* Drops those whose bytes are out. */
void marks_sent(struct marks *ms, uint64_t sent);

void marks_fini(struct marks *ms); /* there are none left */

#endif
