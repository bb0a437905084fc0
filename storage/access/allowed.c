/* allowed.c: remembers a name that a user was allowed (allowed.h). */
#include "storage/access/allowed.h"

static_assert((ALLOWED_NAMES & (ALLOWED_NAMES - 1)) == 0, "a place is a few bits");
static_assert(sizeof(struct allowed_name) == 128, "whole cache lines");

void allowed_add(struct allowed_names *a, const struct access_user *u, enum touch kind, struct slice name)
{
    if (!a || name.len - 1 >= ALLOWED_NAME_BYTES)
        return;
    struct allowed_name *n = &a->at[allowed_place(u, kind, name)];
    *n = (struct allowed_name){.user = u, .key = allowed_key(kind, name.len)};
    memcpy(n->bytes, name.data, name.len);
}
