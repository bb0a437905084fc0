/* steps.c: counts or gathers, and appends, the items of a list, some at a time (steps.h). */
#include "storage/query/base/steps.h"

#include <stdlib.h>

#define PIECE_BYTES ((size_t)KIB(64)) /* and one item more */

void steps_begin(struct view *v)
{
    if (!v->steps)
        return;
    buf_free(&v->steps->items);
    free(v->steps->own);
    *v->steps = (struct steps){0};
}

static struct steps *steps_of(struct view *v)
{
    if (!v->steps)
        v->steps = calloc(1, sizeof(*v->steps));
    return v->steps;
}

void *steps_own(struct view *v, size_t size)
{
    struct steps *st = steps_of(v);
    if (st && !st->own)
        st->own = calloc(1, size);
    return st ? st->own : NULL;
}

static void steps_key(struct steps *st, struct slice key)
{
    st->at.len = 0;
    key_bytes(&st->at, key);
}

static void steps_seek(const struct steps *st, struct kv_iter *it)
{
    if (st->at.len)
        kv_iter_seek(it, key_slice(&st->at));
    else
        kv_iter_first(it);
}

/* ---- all rows ---- */

enum status steps_walk(struct view *v, walk_fn *walk, const void *arg, struct buf *reply)
{
    struct steps *st = steps_of(v);
    enum status s = st ? ST_OK : ST_NOMEM;
    if (st && st->phase == STEPS_LOOK) {
        s = walk(v, arg, NULL);
        if (s == ST_OK && st->n == 0)
            s = ST_GONE;
        if (s == ST_OK) {
            reply_array(reply, st->n);
            st->phase = STEPS_PUT;
            st->at.len = 0;
        }
    }
    return s == ST_OK ? walk(v, arg, reply) : s;
}

struct list_rows {
    const struct key *prefix;
    list_fn *fn;
    const void *arg;
};

/* Goes over rows from the remembered one on. */
static enum status steps_rows(struct view *v, struct kv_iter *it, const struct list_rows *l, struct buf *out)
{
    struct steps *st = v->steps;
    enum status s = ST_OK;
    for (steps_seek(st, it); kv_iter_valid(it); kv_iter_next(it)) {
        if (v->budget <= 0)
            s = ST_BUSY;
        if (s == ST_OK) {
            v->budget--;
            s = l->fn(v, l->arg, it, out);
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

static enum status steps_walk_rows(struct view *v, const void *arg, struct buf *out)
{
    const struct list_rows *l = arg;
    struct kv_iter *it = view_rows(v, l->prefix);
    if (!it)
        return ST_NOMEM;
    enum status s = steps_rows(v, it, l, out);
    kv_iter_free(it);
    return s;
}

enum status steps_list(struct view *v, const struct key *prefix, list_fn *fn, const void *arg, struct buf *reply)
{
    struct list_rows l = {prefix, fn, arg};
    return steps_walk(v, steps_walk_rows, &l, reply);
}

/* ---- so many ---- */

static enum status steps_gather_rows(struct view *v, struct kv_iter *it, gather_fn *fn, void *arg, struct gather *g)
{
    enum status s = ST_OK;
    for (steps_seek(v->steps, it); kv_iter_valid(it) && !gather_full(g); kv_iter_next(it)) {
        if (v->budget <= 0) {
            steps_key(v->steps, kv_iter_key(it));
            return ST_BUSY;
        }
        v->budget--;
        s = fn(v, arg, it, g);
        if (s != ST_OK)
            return s;
    }
    return kv_iter_status(it);
}

enum status steps_gather(struct view *v, struct kv_iter *it, gather_fn *fn, void *arg, struct gather *g)
{
    if (!it)
        return ST_NOMEM;
    enum status s = steps_gather_rows(v, it, fn, arg, g);
    kv_iter_free(it);
    return s;
}

/* Passes a value with all its parts. */
static void steps_pass(struct cursor *c)
{
    struct token t;
    for (int64_t left = 1; left > 0 && reply_next(c, &t); left--) {
        bool list = t.kind == TOK_ARRAY || t.kind == TOK_PUSH;
        left += list ? t.n : t.kind == TOK_MAP ? 2 * t.n : t.kind == TOK_MESSAGE ? 4 : 0;
    }
}

/* How many of the bytes are a piece: whole items. */
static size_t steps_piece(struct slice items)
{
    struct cursor c = cursor_of(items);
    if (items.len <= PIECE_BYTES)
        return items.len;
    while ((size_t)(c.at - items.data) < PIECE_BYTES)
        steps_pass(&c);
    assert(!c.bad);
    return (size_t)(c.at - items.data);
}

enum status steps_put(struct view *v, uint64_t n, struct buf *reply)
{
    struct steps *st = v->steps;
    if (st->items.failed)
        return ST_NOMEM;
    if (st->phase == STEPS_LOOK)
        reply_array(reply, n);
    st->phase = STEPS_PUT;
    struct slice left = slice_of(st->items.data + st->put, st->items.len - st->put);
    size_t piece = steps_piece(left);
    buf_put(reply, left.data, piece);
    st->put += piece;
    return piece < left.len ? ST_BUSY : ST_OK;
}

/* ---- both ---- */

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
