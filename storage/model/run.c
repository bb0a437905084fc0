/* run.c: keeps, cuts, loads and writes runs (run.h). The trees are BSD's red-black macros (libbsd), whose links are in
 * struct run. */
#include "storage/model/run.h"

#include <stdlib.h>

static int run_place_cmp(const struct run *a, const struct run *b)
{
    if (a->queue != b->queue)
        return a->queue < b->queue ? -1 : 1;
    return a->base < b->base ? -1 : a->base > b->base;
}

static int run_due_cmp(const struct run *a, const struct run *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms ? -1 : 1;
    return run_place_cmp(a, b);
}

RB_GENERATE_STATIC(run_places, run, by_place, run_place_cmp)
RB_GENERATE_STATIC(run_dues, run, by_due, run_due_cmp)

static uint32_t bits_words(uint32_t count)
{
    return (count + 63) / 64;
}

void runs_init(struct runs *rs)
{
    *rs = (struct runs){0};
    RB_INIT(&rs->places);
    RB_INIT(&rs->leased);
    RB_INIT(&rs->waiting);
    rs->dirty_end = &rs->dirty;
}

void runs_fini(struct runs *rs, struct state *st)
{
    struct run *r = NULL, *next = NULL;
    for (r = rs->dirty; r; r = next) {
        next = r->dirty_next;
        r->dirty = false;
        if (r->gone)
            free(r);
    }
    for (r = RB_MIN(run_places, &rs->places); r; r = next) {
        next = RB_NEXT(run_places, &rs->places, r);
        RB_REMOVE(run_places, &rs->places, r);
        free(r);
    }
    st->runs -= rs->leased_runs + rs->waiting_runs;
    runs_init(rs);
}

static void run_dirty(struct runs *rs, struct run *r)
{
    if (r->dirty)
        return;
    r->dirty = true;
    r->dirty_next = NULL;
    *rs->dirty_end = r;
    rs->dirty_end = &r->dirty_next;
}

/* Put a run into the tree of its state, or take it out, and keep the counts. */
static void run_link(struct runs *rs, struct run *r)
{
    struct run *twin = NULL;
    if (r->state == RUN_LEASED) {
        twin = RB_INSERT(run_dues, &rs->leased, r);
        rs->n_leased += r->live;
        rs->leased_runs++;
    } else {
        twin = RB_INSERT(run_dues, &rs->waiting, r);
        rs->n_waiting += r->live;
        rs->waiting_runs++;
    }
    assert(!twin);
}

static void run_unlink(struct runs *rs, struct run *r)
{
    if (r->state == RUN_LEASED) {
        RB_REMOVE(run_dues, &rs->leased, r);
        rs->n_leased -= r->live;
        rs->leased_runs--;
    } else {
        RB_REMOVE(run_dues, &rs->waiting, r);
        rs->n_waiting -= r->live;
        rs->waiting_runs--;
    }
}

static void run_drop(struct runs *rs, struct state *st, struct run *r)
{
    run_unlink(rs, r);
    RB_REMOVE(run_places, &rs->places, r);
    st->runs--;
    r->gone = true;
    run_dirty(rs, r);
}

static struct run *run_new(uint32_t count, const uint64_t *bits)
{
    struct run *r = calloc(1, sizeof(*r) + bits_words(count) * sizeof(uint64_t));
    if (!r)
        return NULL;
    r->count = count;
    for (uint32_t i = 0; i < bits_words(count); i++) {
        uint64_t all = i * 64 + 64 <= count ? UINT64_MAX : (UINT64_C(1) << (count % 64)) - 1;
        r->bits[i] = bits ? bits[i] & all : all;
        r->live += (uint32_t)__builtin_popcountll(r->bits[i]);
    }
    return r;
}

static void run_insert(struct runs *rs, struct state *st, struct run *r)
{
    assert(r->live > 0);
    struct run *twin = RB_INSERT(run_places, &rs->places, r);
    assert(!twin);
    (void)twin;
    run_link(rs, r);
    st->runs++;
}

struct run *run_add(struct runs *rs, struct state *st, uint32_t queue, uint64_t base, uint32_t count,
                    enum run_state state, uint32_t attempt, int64_t due_ms, const uint64_t *bits)
{
    assert(count >= 1 && count <= COUNT_MAX);
    struct run *r = run_new(count, bits);
    if (!r)
        return NULL;
    r->queue = queue;
    r->base = base;
    r->state = state;
    r->attempt = attempt;
    r->due_ms = due_ms;
    run_insert(rs, st, r);
    run_dirty(rs, r);
    return r;
}

bool run_has(const struct run *r, uint64_t offset)
{
    if (offset < r->base || offset - r->base >= r->count)
        return false;
    uint64_t i = offset - r->base;
    return (r->bits[i / 64] >> (i % 64)) & 1;
}

struct run *run_find(struct runs *rs, uint32_t queue, uint64_t offset)
{
    struct run want = {.queue = queue, .base = offset};
    struct run *r = RB_NFIND(run_places, &rs->places, &want);
    if (!r || r->queue != queue || r->base != offset)
        r = r ? RB_PREV(run_places, &rs->places, r) : RB_MAX(run_places, &rs->places);
    return r && r->queue == queue && run_has(r, offset) ? r : NULL;
}

void run_clear(struct runs *rs, struct state *st, struct run *r, uint64_t offset)
{
    assert(run_has(r, offset));
    if (r->live == 1) {
        run_drop(rs, st, r);
        return;
    }
    uint64_t i = offset - r->base;
    r->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    r->live--;
    if (r->state == RUN_LEASED)
        rs->n_leased--;
    else
        rs->n_waiting--;
    run_dirty(rs, r);
}

void run_move(struct runs *rs, struct run *r, enum run_state state, uint32_t attempt, int64_t due_ms)
{
    run_unlink(rs, r);
    r->state = state;
    r->attempt = attempt;
    r->due_ms = due_ms;
    run_link(rs, r);
    run_dirty(rs, r);
}

/* Bits [from, from+count) of r, moved down to bit 0. */
static void run_bits_slice(const struct run *r, uint32_t from, uint32_t count, uint64_t *out)
{
    for (uint32_t i = 0; i < bits_words(count); i++) {
        uint32_t at = from + i * 64, word = at / 64, shift = at % 64;
        uint64_t low = r->bits[word] >> shift;
        uint64_t high = shift && word + 1 < bits_words(r->count) ? r->bits[word + 1] << (64 - shift) : 0;
        out[i] = low | high;
    }
}

/* Copies a part of r into a new run, which is in no tree yet and may have no live message. */
static struct run *run_part(const struct run *r, uint32_t from, uint32_t count)
{
    uint64_t bits[RUN_WORDS_MAX];
    run_bits_slice(r, from, count, bits);
    struct run *part = run_new(count, bits);
    if (!part)
        return NULL;
    part->queue = r->queue;
    part->base = r->base + from;
    part->state = r->state;
    part->attempt = r->attempt;
    part->due_ms = r->due_ms;
    return part;
}

struct run *run_split(struct runs *rs, struct state *st, struct run *r, uint64_t offset)
{
    assert(offset > r->base && offset < r->base + r->count);
    uint32_t left_count = (uint32_t)(offset - r->base);
    struct run *right = run_part(r, left_count, r->count - left_count);
    struct run *left = run_part(r, 0, left_count);
    if (!right || !left) {
        free(right);
        free(left);
        return NULL;
    }
    run_drop(rs, st, r);
    struct run *parts[2] = {left, right};
    for (int i = 0; i < 2; i++) {
        if (parts[i]->live == 0) {
            free(parts[i]);
            parts[i] = NULL;
            continue;
        }
        run_insert(rs, st, parts[i]);
        run_dirty(rs, parts[i]);
    }
    return parts[1];
}

struct run *run_isolate(struct runs *rs, struct state *st, struct run *r, uint64_t offset)
{
    assert(run_has(r, offset));
    if (r->live == 1)
        return r;
    if (offset > r->base) {
        r = run_split(rs, st, r, offset);
        if (!r)
            return NULL;
    }
    if (r->count == 1 || r->live == 1)
        return r;
    uint32_t queue = r->queue;
    if (!run_split(rs, st, r, offset + 1)) /* the others are live and behind it, so NULL means no memory */
        return NULL;
    return run_find(rs, queue, offset);
}

struct run *run_in(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last)
{
    struct run want = {.queue = queue, .base = first};
    struct run *r = RB_NFIND(run_places, &rs->places, &want);
    struct run *before = r ? RB_PREV(run_places, &rs->places, r) : RB_MAX(run_places, &rs->places);
    if (before && before->queue == queue && first - before->base < before->count)
        return before;
    return r && r->queue == queue && r->base <= last ? r : NULL;
}

/* Places first..last of the run, within it; false: there are none. */
static bool run_clamp(const struct run *r, uint64_t first, uint64_t last, uint32_t *ret_from,
                      uint32_t *ret_to)
{
    uint64_t end = r->base + r->count - 1;
    if (last < r->base || first > end)
        return false;
    *ret_from = first > r->base ? (uint32_t)(first - r->base) : 0;
    *ret_to = last < end ? (uint32_t)(last - r->base) : r->count - 1;
    return true;
}

/* Bits of word w that stand for places from..to. */
static uint64_t run_bits_between(uint32_t w, uint32_t from, uint32_t to)
{
    uint64_t mask = UINT64_MAX;
    if (w == from / 64)
        mask &= UINT64_MAX << (from % 64);
    if (w == to / 64)
        mask &= UINT64_MAX >> (63 - to % 64);
    return mask;
}

uint32_t run_live_in(const struct run *r, uint64_t first, uint64_t last)
{
    uint32_t from = 0, to = 0, n = 0;
    if (!run_clamp(r, first, last, &from, &to))
        return 0;
    for (uint32_t w = from / 64; w <= to / 64; w++)
        n += (uint32_t)__builtin_popcountll(r->bits[w] & run_bits_between(w, from, to));
    return n;
}

uint32_t run_clear_in(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last)
{
    uint32_t from = 0, to = 0, n = run_live_in(r, first, last);
    if (n == 0 || !run_clamp(r, first, last, &from, &to))
        return 0;
    if (n == r->live) {
        run_drop(rs, st, r);
        return n;
    }
    for (uint32_t w = from / 64; w <= to / 64; w++)
        r->bits[w] &= ~run_bits_between(w, from, to);
    r->live -= n;
    if (r->state == RUN_LEASED)
        rs->n_leased -= n;
    else
        rs->n_waiting -= n;
    run_dirty(rs, r);
    return n;
}

struct run *run_cut(struct runs *rs, struct state *st, struct run *r, uint64_t first, uint64_t last)
{
    uint32_t queue = r->queue, wanted = run_live_in(r, first, last);
    assert(wanted > 0);
    if (first > r->base && run_live_in(r, r->base, first - 1) > 0)
        r = run_split(rs, st, r, first);
    if (!r)
        return NULL;
    if (r->live == wanted)
        return r;
    uint64_t base = r->base; /* another run may begin before it */
    if (!run_split(rs, st, r, last + 1)) /* live messages are behind it, so NULL means no memory */
        return NULL;
    return run_in(rs, queue, base, last);
}

struct run *run_first_due(struct runs *rs, enum run_state state)
{
    return state == RUN_LEASED ? RB_MIN(run_dues, &rs->leased) : RB_MIN(run_dues, &rs->waiting);
}

/* The first leased run of a queue or of one behind it. */
static struct run *run_first_leased(struct runs *rs, uint32_t queue)
{
    struct run want = {.queue = queue};
    struct run *r = RB_NFIND(run_places, &rs->places, &want);
    while (r && r->state != RUN_LEASED)
        r = RB_NEXT(run_places, &rs->places, r);
    return r;
}

void runs_count(struct runs *rs, struct cursor_row *row)
{
    row->leased = rs->n_leased;
    row->leased_runs = rs->leased_runs;
    row->waiting = rs->n_waiting;
    row->waiting_runs = rs->waiting_runs;
    const struct run *first = RB_MIN(run_dues, &rs->waiting);
    if (first)
        row->first = (struct wait_place){first->due_ms, first->queue, first->base};
    for (const struct run *r = run_first_leased(rs, 0); r; r = run_first_leased(rs, r->queue + 1))
        row->back[r->queue] = row->next[r->queue] - r->base;
}

static void run_save(struct state *st, const struct run *r, uint64_t gt)
{
    struct run_row row = {
        .state = r->state, .count = r->count, .attempt = r->attempt, .due_ms = r->due_ms};
    memcpy(row.bits, r->bits, bits_words(r->count) * sizeof(uint64_t));
    buf_reset(&st->scratch2, KIB(64));
    run_encode(&st->scratch2, &row);
    struct key key = key_run(gt, r->queue, r->base);
    core_put(st, &key, core_row(st));
}

void runs_flush(struct runs *rs, struct state *st, uint64_t gt)
{
    /* Deletions first: another run of this group may have taken the place of one that is gone. */
    struct run *next = NULL;
    for (struct run *r = rs->dirty; r; r = r->dirty_next) {
        if (!r->gone || !r->stored)
            continue;
        struct key key = key_run(gt, r->queue, r->base);
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
        r->stored = true;
    }
    rs->dirty = NULL;
    rs->dirty_end = &rs->dirty;
}

enum status runs_load(struct runs *rs, struct state *st, uint64_t gt)
{
    struct key from = key_of_id('R', gt), to = key_after(&from);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (kv_iter_first(it); s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct run_row row;
        s = kv_iter_key(it).len == from.len + 12 ? run_decode(kv_iter_value(it), &row) : ST_BAD;
        if (s != ST_OK)
            break;
        struct run *r = run_new(row.count, row.bits);
        if (!r || r->live == 0) {
            free(r);
            s = r ? ST_IO : ST_NOMEM;
            break;
        }
        const uint8_t *key = kv_iter_key(it).data + from.len;
        r->queue = key_read_u32(key);
        r->base = key_read_u64(key + 4);
        r->state = row.state;
        r->attempt = row.attempt;
        r->due_ms = row.due_ms;
        r->stored = true;
        run_insert(rs, st, r);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s == ST_BAD ? ST_IO : s;
}
