/* steps.c: counts and appends the rows of a list, some at a time (steps.h). */
#include "storage/query/steps.h"

#include <stdlib.h>

enum list_phase { LIST_COUNT, LIST_PUT };

void steps_begin(struct view *v)
{
    if (!v->steps)
        return;
    free(v->steps->own);
    *v->steps = (struct steps){0};
}

static void steps_key(struct steps *st, struct slice key)
{
    st->at.len = 0;
    key_bytes(&st->at, key);
}

/* Goes over rows from the remembered one on, until the end (ST_OK) or that of the budget (ST_BUSY). */
static enum status steps_rows(struct view *v, struct kv_iter *it, list_fn *fn, const void *arg, struct buf *out)
{
    struct steps *st = v->steps;
    enum status s = ST_OK;
    if (st->at.len)
        kv_iter_seek(it, key_slice(&st->at));
    else
        kv_iter_first(it);
    for (; kv_iter_valid(it); kv_iter_next(it)) {
        if (v->budget <= 0)
            s = ST_BUSY;
        if (s == ST_OK) {
            v->budget--;
            s = fn(v, arg, it, out);
        }
        if (s == ST_BUSY)
            steps_key(st, kv_iter_key(it));
        if (s != ST_OK && s != ST_GONE)
            return s;
        st->n += s == ST_OK && !out;
        s = ST_OK;
    }
    return kv_iter_status(it);
}

enum status steps_list(struct view *v, const struct key *prefix, list_fn *fn, const void *arg, struct buf *reply)
{
    if (!v->steps)
        v->steps = calloc(1, sizeof(*v->steps));
    struct steps *st = v->steps;
    struct kv_iter *it = st ? view_rows(v, prefix) : NULL;
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    if (st->phase == LIST_COUNT) {
        s = steps_rows(v, it, fn, arg, NULL);
        if (s == ST_OK && st->n == 0)
            s = ST_GONE;
        if (s == ST_OK) {
            reply_array(reply, st->n);
            st->phase = LIST_PUT;
            st->at.len = 0;
        }
    }
    if (s == ST_OK)
        s = steps_rows(v, it, fn, arg, reply);
    kv_iter_free(it);
    return s;
}

void steps_end(struct view *v, enum status s, struct buf *reply, const char *what, struct slice name)
{
    if (reply->failed)
        s = ST_NOMEM;
    bool taken = v->steps && v->steps->taken;
    v->step = s == ST_BUSY ? QUERY_MORE : s != ST_OK && taken ? QUERY_BROKEN : QUERY_DONE;
    if (s != ST_OK && s != ST_BUSY && !taken)
        view_refuse(reply, s, what, name);
    if (v->steps)
        v->steps->emitted = reply->len;
}
