/* speech.c: begins and ends a connection's speech, and matches answers in order with their requests. */
#include "bench/wire/speech.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool speech_init(struct speech *s, const struct wire_dialect *dialect, uint32_t in_flight)
{
    *s = (struct speech){.dialect = dialect, .tags_size = in_flight};
    buf_init(&s->spare, 0);
    if (dialect->ordered)
        s->tags = calloc(in_flight, sizeof *s->tags);
    return s->tags != NULL || !dialect->ordered;
}

void speech_fini(struct speech *s)
{
    free(s->tags);
    buf_free(&s->spare);
    *s = (struct speech){0};
}

void speech_reset(struct speech *s)
{
    s->walk = (struct walk){0};
    s->first = s->n = 0;
}

void speech_put(struct speech *s, struct buf *out, const struct wire_ask *ask)
{
    assert(s->dialect->put[ask->kind]);
    s->dialect->put[ask->kind](out, ask);
    if (!s->dialect->ordered)
        return;
    assert(s->n < s->tags_size);
    s->tags[(s->first + s->n++) % s->tags_size] = ask->tag;
}

bool speech_tag(struct speech *s, uint32_t *ret_tag)
{
    if (s->n == 0)
        return false;
    *ret_tag = s->tags[s->first];
    s->first = (s->first + 1) % s->tags_size;
    s->n--;
    return true;
}

bool speech_busy(struct slice text)
{
    const uint8_t *blank = text.len ? memchr(text.data, ' ', text.len) : NULL;
    size_t len = blank ? (size_t)(blank - text.data) : text.len;
    return status_retryable(status_from_code((const char *)text.data, len));
}
