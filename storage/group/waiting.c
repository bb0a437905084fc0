/* waiting.c: reads waiting runs when their turn comes, and lets go of those that come later (waiting.h). */
#include "storage/group/waiting.h"

static struct wait_place wait_place_of(const struct run *r)
{
    return (struct wait_place){r->due_ms, r->queue, r->base, run_since(r->attempt, r->delivered)};
}

static bool wait_before(const struct wait_place *a, const struct wait_place *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    if (a->queue != b->queue)
        return a->queue < b->queue;
    return a->base != b->base ? a->base < b->base : a->since < b->since;
}

/* True where the first run in memory is the first of all. */
static bool waiting_known(const struct runs *rs, const struct run *first)
{
    if (rs->whole)
        return true;
    struct wait_place place = first ? wait_place_of(first) : (struct wait_place){0};
    return first && wait_before(&place, &rs->window_end);
}

static enum status waiting_decode(struct slice key, struct slice value, struct wait_place *ret_place,
                                  struct run_row *ret_row)
{
    const uint8_t *at = key.data + 9;
    if (key.len != WAITING_KEY_BYTES || run_decode(value, ret_row) != ST_OK || ret_row->state != RUN_WAITING ||
        run_row_empty(ret_row) || ret_row->due_ms != (int64_t)key_read_u64(at) ||
        run_since(ret_row->attempt, ret_row->delivered) != key_read_u32(at + 20))
        return ST_BAD;
    *ret_place = (struct wait_place){ret_row->due_ms, key_read_u32(at + 8), key_read_u64(at + 12), key_read_u32(at + 20)};
    return ST_OK;
}

/* Adds the run of a row, and moves the end of the window behind it. */
static enum status waiting_add(struct runs *rs, struct slice key, struct slice value)
{
    struct run_row row;
    struct wait_place place;
    if (waiting_decode(key, value, &place, &row) != ST_OK)
        return ST_BAD;
    if (!run_add_stored(rs, place.queue, place.base, &row))
        return ST_NOMEM;
    rs->window_end = place;
    rs->window_end.since++;
    return ST_OK;
}

/* Reads the next runs behind the window. What the open group has written is not in the store yet, and need not be: it
 * added those runs itself, or took them out of the window. */
static enum status waiting_read(struct runs *rs, struct state *st, uint64_t gt)
{
    struct key all = key_of_id('V', gt), to = key_after(&all);
    const struct wait_place *end = &rs->window_end;
    struct key from = key_waiting(gt, end->due_ms, end->queue, end->base, end->since);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    uint32_t n = 0;
    for (kv_iter_first(it); s == ST_OK && n < st->wait_window && kv_iter_valid(it); kv_iter_next(it), n++) {
        s = waiting_add(rs, kv_iter_key(it), kv_iter_value(it));
        if (s == ST_BAD)
            s = kv_damaged_row(st->kv, kv_iter_key(it));
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    rs->whole = s == ST_OK && !kv_iter_valid(it);
    kv_iter_free(it);
    return s;
}

enum status waiting_first(struct runs *rs, struct state *st, uint64_t gt, struct run **ret_run)
{
    *ret_run = run_window_first(rs);
    if (waiting_known(rs, *ret_run))
        return ST_OK;
    enum status s = waiting_read(rs, st, gt);
    *ret_run = run_window_first(rs);
    if (s != ST_OK && s != ST_NOMEM && waiting_known(rs, *ret_run))
        return ST_OK; /* those before the failure can be had */
    return s;
}

enum status waiting_all(struct runs *rs, struct state *st, uint64_t gt)
{
    enum status s = ST_OK;
    while (s == ST_OK && !rs->whole)
        s = waiting_read(rs, st, gt);
    return s;
}

enum status waiting_visit(struct state *st, uint64_t gt, const struct wait_place *first, waiting_fn *fn, void *arg)
{
    struct key all = key_of_id('V', gt), to = key_after(&all);
    struct key from = key_waiting(gt, first->due_ms, first->queue, first->base, first->since);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct run_row row;
        struct wait_place place;
        s = waiting_decode(kv_iter_key(it), kv_iter_value(it), &place, &row);
        s = s == ST_OK ? fn(arg, &place, &row) : kv_damaged_row(st->kv, kv_iter_key(it));
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

struct wait_place waiting_floor(struct runs *rs, struct state *st, uint64_t gt)
{
    struct run *first = NULL;
    enum status s = waiting_first(rs, st, gt, &first);
    if (s == ST_OK && first)
        return wait_place_of(first);
    st->sick = st->sick || s == ST_NOMEM; /* what is written must not depend on the memory */
    struct wait_place place = first ? wait_place_of(first) : rs->window_end;
    return wait_before(&place, &rs->window_end) ? place : rs->window_end;
}

/* Moves the end of the window before a run, and takes that out of memory. */
static void waiting_evict(struct runs *rs, struct run *r)
{
    struct wait_place place = wait_place_of(r);
    if (rs->whole || wait_before(&place, &rs->window_end))
        rs->window_end = place;
    rs->whole = false;
    run_forget(rs, r);
}

void waiting_trim(struct runs *rs, uint32_t window)
{
    for (struct run *last = run_window_last(rs); last; last = run_window_last(rs)) {
        struct wait_place place = wait_place_of(last);
        if (rs->n_window <= window && (rs->whole || wait_before(&place, &rs->window_end)))
            break;
        waiting_evict(rs, last);
    }
}
