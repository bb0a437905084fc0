/* attempts.c: reads and writes the attempt numbers that deleted groups have used (attempts.h). */
#include "storage/disk/attempts.h"

#include "protocol/base/text.h"
#include "storage/disk/rows.h"

#define ATTEMPTS_BUCKETS (UINT32_C(1) << 20)
#define ATTEMPTS_ROW_MAX 64

static struct key attempts_key(struct slice name)
{
    return key_attempts((uint32_t)text_hash(name) & (ATTEMPTS_BUCKETS - 1));
}

enum status attempts_used(struct overlay *o, struct slice name, uint32_t *ret_top)
{
    struct key key = attempts_key(name);
    struct attempts_row row = {0};
    struct buf value;
    buf_init(&value, ATTEMPTS_ROW_MAX);
    enum status s = overlay_get(o, &key, &value);
    if (s == ST_OK)
        s = attempts_decode(buf_slice(&value), &row) == ST_OK ? ST_OK : kv_damaged_row(o->kv, key_slice(&key));
    buf_free(&value);
    *ret_top = row.top;
    return s == ST_GONE ? ST_OK : s;
}

enum status attempts_leave(struct overlay *o, struct slice name, uint32_t top)
{
    struct key key = attempts_key(name);
    struct attempts_row row = {.top = top};
    uint32_t used = 0;
    enum status s = attempts_used(o, name, &used);
    if (s != ST_OK || used >= top)
        return s;
    struct buf value;
    buf_init(&value, ATTEMPTS_ROW_MAX);
    attempts_encode(&value, &row);
    if (value.failed)
        s = ST_NOMEM;
    else
        overlay_put(o, &key, buf_slice(&value));
    buf_free(&value);
    return s;
}
