/* outcome.c: makes and frees outcomes (outcome.h). */
#include "storage/outcome.h"

#include <stdlib.h>

#include "protocol/limits.h"

void outcome_init(struct outcome *o)
{
    *o = (struct outcome){0};
    buf_init(&o->reply, REPLY_BYTES_MAX);
    buf_init(&o->text, MIB(4));
}

void outcome_free(struct outcome *o)
{
    buf_free(&o->reply);
    buf_free(&o->text);
    free(o->grants);
    o->grants = NULL;
    o->n_grants = 0;
}
