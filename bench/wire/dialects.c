/* dialects.c: the table of dialects. */
#include "bench/wire/dialects.h"

#include <string.h>

#include "bench/wire/dialect_redis.h"
#include "bench/wire/dialect_resp.h"
#include "bench/wire/dialect_rpc.h"

static const struct wire_dialect *const dialects[] = {&dialect_rpc, &dialect_resp, &dialect_redis};

const struct wire_dialect *dialect_find(const char *name)
{
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
        if (strcmp(dialects[i]->name, name) == 0)
            return dialects[i];
    }
    return NULL;
}
