/* batch.c: encodes messages into a batch record as a client would. */
#include "tests/lib/batch.h"

#include <assert.h>
#include <stdio.h>

#include "protocol/base/text.h"

void batch_init(struct batch *b)
{
    *b = (struct batch){0};
    buf_init(&b->record, 0);
    buf_init(&b->starts, 0);
    record_begin(&b->record);
}

void batch_free(struct batch *b)
{
    buf_free(&b->record);
    buf_free(&b->starts);
}

void batch_add(struct batch *b, struct message m)
{
    m.seq = b->n++;
    record_add(&b->record, &b->starts, &m, 0);
}

void batch_add_body(struct batch *b, const char *body)
{
    batch_add(b, (struct message){.body = slice_str(body)});
}

struct slice batch_end(struct batch *b)
{
    struct record_header h = {.count = b->n};
    record_end(&b->record, &b->starts, &h);
    assert(!b->record.failed);
    return buf_slice(&b->record);
}
