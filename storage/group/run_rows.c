/* run_rows.c: writes, reads, counts and deletes the rows of runs (run_rows.h). */
#include "storage/group/run_rows.h"

#include <stdlib.h>

#include "storage/group/waiting.h"

void runs_count(struct runs *rs, struct state *st, uint64_t gt, struct cursor_row *row)
{
    row->leased = rs->n_leased;
    row->leased_runs = rs->leased_runs;
    row->waiting = rs->n_waiting;
    row->waiting_runs = rs->waiting_runs;
    if (rs->waiting_runs)
        row->first = waiting_floor(rs, st, gt);
    for (const struct run *r = run_from_queue(rs, 0); r; r = run_from_queue(rs, r->queue + 1))
        row->back[r->queue] = 1 + (r->base < row->next[r->queue] ? row->next[r->queue] - r->base : 0);
}

static struct key run_key(uint64_t gt, const struct run *r, enum run_state state, int64_t due_ms)
{
    uint32_t since = run_since(r->attempt, r->delivered);
    return state == RUN_LEASED ? key_run(gt, r->queue, r->base) : key_waiting(gt, due_ms, r->queue, r->base, since);
}

/* True where the run has a row that must go. */
static bool run_row_over(const struct run *r)
{
    return r->row && (r->gone || r->row != r->state || (r->row == RUN_WAITING && r->row_due_ms != r->due_ms));
}

static void run_save(struct state *st, const struct run *r, uint64_t gt)
{
    struct run_row row = {
        .state = r->state, .count = r->count, .attempt = r->attempt, .delivered = r->delivered, .due_ms = r->due_ms,
        .holder = r->holder};
    memcpy(row.bits, r->bits, run_words(r->count) * sizeof(uint64_t));
    buf_reset(&st->scratch2, KIB(64));
    run_encode(&st->scratch2, &row);
    struct key key = run_key(gt, r, r->state, r->due_ms);
    core_put(st, &key, core_row(st));
}

void runs_flush(struct runs *rs, struct state *st, uint64_t gt)
{
    /* Deletions first: another run of this group may have taken the place of one that is gone. */
    struct run *next = NULL;
    for (struct run *r = rs->dirty; r; r = r->dirty_next) {
        if (!run_row_over(r))
            continue;
        struct key key = run_key(gt, r, r->row, r->row_due_ms);
        core_del(st, &key);
    }
    for (struct run *r = rs->dirty; r; r = next) {
        next = r->dirty_next;
        r->dirty = false;
        if (r->gone) {
            free(r);
            continue;
        }
        run_save(st, r, gt);
        r->row = r->state;
        r->row_due_ms = r->due_ms;
    }
    rs->dirty = NULL;
    rs->dirty_end = &rs->dirty;
    waiting_trim(rs, st->wait_window);
}

static enum status run_load(struct runs *rs, struct slice key, struct slice value)
{
    struct run_row row;
    if (key.len != 21 || run_decode(value, &row) != ST_OK || row.state != RUN_LEASED || run_row_empty(&row))
        return ST_BAD;
    return run_add_stored(rs, key_read_u32(key.data + 9), key_read_u64(key.data + 13), &row) ? ST_OK : ST_NOMEM;
}

/* Reads the leased runs of a queue. All of them are before its cursor, and none is before the first. */
static enum status runs_load_queue(struct runs *rs, struct state *st, struct kv_iter *it, uint64_t gt, uint32_t queue,
                                   uint64_t first, uint64_t most, uint64_t *n)
{
    struct key from = key_run(gt, queue, first);
    enum status s = ST_OK;
    for (kv_iter_seek(it, key_slice(&from)); s == ST_OK && *n < most && kv_iter_valid(it); kv_iter_next(it), ++*n) {
        struct slice key = kv_iter_key(it);
        if (key.len == 21 && key_read_u32(key.data + 9) != queue)
            break;
        s = run_load(rs, key, kv_iter_value(it));
        if (s == ST_BAD)
            return kv_damaged_row(st->kv, key);
    }
    return s == ST_OK ? kv_iter_status(it) : s;
}

enum status runs_load(struct runs *rs, struct state *st, uint64_t gt, const struct cursor_row *row)
{
    rs->n_leased = row->leased;
    rs->leased_runs = row->leased_runs;
    rs->n_waiting = row->waiting;
    rs->waiting_runs = row->waiting_runs;
    rs->whole = row->waiting_runs == 0;
    rs->window_end = row->first;
    if (row->leased_runs == 0)
        return ST_OK;
    struct key from = key_of_id('R', gt), to = key_after(&from);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    uint64_t n = 0;
    for (uint32_t q = 0; s == ST_OK && q < row->n_queues; q++)
        if (row->back[q])
            s = runs_load_queue(rs, st, it, gt, q, row->next[q] - (row->back[q] - 1), row->leased_runs, &n);
    kv_iter_free(it);
    bool lost = s == ST_OK && n != row->leased_runs;
    return lost ? core_bad_row(st, &from) : s;
}

void runs_delete(struct state *st, uint64_t gt)
{
    static const char kinds[] = {'R', 'V', 'Z'};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct key from = key_of_id(kinds[i], gt), to = key_after(&from);
        kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
    }
}
