/*
 * speech.h: one connection's state in a dialect: what is being read, and what has not been answered yet.
 */
#ifndef HALFMQ_BENCH_SPEECH_H
#define HALFMQ_BENCH_SPEECH_H

#include "bench/wire/dialect.h"
#include "bench/wire/walk.h"

struct speech {
    const struct wire_dialect *dialect;
    struct walk walk;
    uint32_t *tags; /* a ring of what is not answered yet, in order; only where answers carry no id */
    uint32_t tags_size, first, n;
    struct buf spare; /* the text of an answer that was put together of several values */
};

/* in_flight: the most requests that will ever wait for their answers. False: no memory. */
bool speech_init(struct speech *s, const struct wire_dialect *dialect, uint32_t in_flight);
void speech_fini(struct speech *s);

/* As for a new connection. */
void speech_reset(struct speech *s);

/* Appends the request. */
void speech_put(struct speech *s, struct buf *out, const struct wire_ask *ask);

/* Reads the next answer: see struct wire_dialect. */
static inline enum status speech_next(struct speech *s, struct slice input, struct answer *ret_answer,
                                      size_t *ret_used)
{
    return s->dialect->next(s, input, ret_answer, ret_used);
}

/* For dialects in order: the tag of the request that is answered now; false: none is waiting. */
bool speech_tag(struct speech *s, uint32_t *ret_tag);

/* True where the text of an error begins with a code that allows another try. */
bool speech_busy(struct slice text);

#endif
