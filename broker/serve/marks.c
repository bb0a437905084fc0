/* marks.c: a ring that grows, and holds a reference to the stream of each mark. */
#include "broker/serve/marks.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/serve/stream_inner.h"

#define MARKS_MIN 64

static enum status marks_grow(struct marks *ms)
{
    uint32_t size = ms->size ? ms->size * 2 : MARKS_MIN;
    struct mark *m = malloc(size * sizeof *m);
    if (!m)
        return ST_NOMEM;
    for (uint32_t i = 0; i < ms->n; i++)
        m[i] = *marks_at(ms, i);
    free(ms->m);
    *ms = (struct marks){.m = m, .n = ms->n, .size = size};
    return ST_OK;
}

enum status marks_add(struct marks *ms, struct mark mark)
{
    if (ms->n == ms->size && marks_grow(ms) != ST_OK)
        return ST_NOMEM;
    ms->m[(ms->first + ms->n++) % ms->size] = mark;
    mark.stream->refs++;
    return ST_OK;
}

void marks_drop_first(struct marks *ms)
{
    stream_unref(ms->m[ms->first].stream);
    ms->first = (ms->first + 1) % ms->size;
    ms->n--;
}

void marks_sent(struct marks *ms, uint64_t sent)
{
    while (ms->n && marks_at(ms, 0)->end <= sent)
        marks_drop_first(ms);
}

void marks_fini(struct marks *ms)
{
    assert(ms->n == 0);
    free(ms->m);
    *ms = (struct marks){0};
}
