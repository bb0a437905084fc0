/* check_base.c: reads rows, keeps ids, tells damages (check_base.h). */
#include "storage/check/check_base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define PROGRESS_BYTES MIB(1)

void check_say(struct checking *c, const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->sums.damages++;
    c->opt->damage(c->opt->arg, text);
}

const char *check_quote(struct slice name, char out[CHECK_QUOTED])
{
    text_quote(name, CHECK_QUOTED - 20, out, CHECK_QUOTED);
    return out;
}

void check_read(struct checking *c, size_t bytes)
{
    c->sums.bytes += bytes;
    if (!c->opt->progress || c->sums.bytes - c->told < PROGRESS_BYTES)
        return;
    c->told = c->sums.bytes;
    c->opt->progress(c->opt->arg, c->told);
}

struct kv_iter *check_rows(struct checking *c, const struct key *prefix)
{
    struct key after = key_after(prefix);
    struct kv_iter *it = kv_iter_new(c->kv, KV_STATE, NULL, key_slice(prefix), key_slice(&after));
    if (it)
        kv_iter_first(it);
    else
        c->failed = ST_NOMEM;
    return it;
}

bool check_row(struct checking *c, struct kv_iter *it, struct slice *ret_key, struct slice *ret_value)
{
    if (!it || c->failed != ST_OK || !kv_iter_valid(it))
        return false;
    *ret_key = kv_iter_key(it);
    *ret_value = kv_iter_value(it);
    return true;
}

bool check_rows_end(struct checking *c, struct kv_iter *it)
{
    enum status s = it ? kv_iter_status(it) : ST_NOMEM; /* damage is told by this */
    kv_iter_free(it);
    if (s == ST_DAMAGED)
        c->blind = true;
    else if (s != ST_OK)
        c->failed = s;
    return s == ST_OK;
}

bool check_has(struct checking *c, const struct key *key)
{
    buf_reset(&c->value, KIB(64));
    enum status s = kv_get(c->kv, KV_STATE, NULL, key_slice(key), &c->value);
    if (s == ST_IO || s == ST_NOMEM)
        c->failed = s;
    return s != ST_GONE;
}

void check_ids_add(struct checking *c, struct check_ids *l, uint64_t id)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        uint64_t *ids = realloc(l->ids, room * sizeof *ids);
        if (!ids) {
            c->failed = ST_NOMEM;
            return;
        }
        l->ids = ids;
        l->room = room;
    }
    l->ids[l->n++] = id;
}

static int check_base_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void check_ids_sort(struct check_ids *l)
{
    if (l->n)
        qsort(l->ids, l->n, sizeof *l->ids, check_base_compare);
}

bool check_ids_have(const struct check_ids *l, uint64_t id)
{
    return l->n && bsearch(&id, l->ids, l->n, sizeof *l->ids, check_base_compare) != NULL;
}
