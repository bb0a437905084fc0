/* run.c: keeps and cuts runs in memory (run.h). The trees are BSD's red-black macros (libbsd), whose links are in
 * struct run. */
#include "storage/group/run.h"

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
    int places = run_place_cmp(a, b);
    uint32_t x = run_since(a->attempt, a->delivered), y = run_since(b->attempt, b->delivered);
    return places != 0 ? places : (x > y) - (x < y);
}

RB_GENERATE_STATIC(run_places, run, by_place, run_place_cmp)
RB_GENERATE_STATIC(run_dues, run, by_due, run_due_cmp)

void runs_init(struct runs *rs)
{
    *rs = (struct runs){.whole = true};
    RB_INIT(&rs->places);
    RB_INIT(&rs->leased);
    RB_INIT(&rs->waiting);
    rs->dirty_end = &rs->dirty;
}

static void run_free_tree(struct run_dues *tree)
{
    struct run *r = NULL, *next = NULL;
    for (r = RB_MIN(run_dues, tree); r; r = next) {
        next = RB_NEXT(run_dues, tree, r);
        RB_REMOVE(run_dues, tree, r);
        free(r);
    }
}

void runs_fini(struct runs *rs)
{
    struct run *r = NULL, *next = NULL;
    for (r = rs->dirty; r; r = next) {
        next = r->dirty_next;
        if (r->gone)
            free(r);
    }
    bool overlap = rs->overlap;
    run_free_tree(&rs->leased);
    run_free_tree(&rs->waiting);
    runs_init(rs);
    rs->overlap = overlap;
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

/* Adds to the counts of its state, or takes from them. */
static void run_count(struct runs *rs, const struct run *r, bool more)
{
    uint64_t *messages = r->state == RUN_LEASED ? &rs->n_leased : &rs->n_waiting;
    uint64_t *runs = r->state == RUN_LEASED ? &rs->leased_runs : &rs->waiting_runs;
    *messages = more ? *messages + r->live : *messages - r->live;
    *runs = more ? *runs + 1 : *runs - 1;
}

/* Put a run into the trees of its state, or take it out. */
static void run_link(struct runs *rs, struct run *r)
{
    struct run *twin = NULL;
    assert(r->live > 0);
    if (r->state == RUN_LEASED) {
        twin = RB_INSERT(run_places, &rs->places, r);
        assert(!twin);
        twin = RB_INSERT(run_dues, &rs->leased, r);
    } else {
        twin = RB_INSERT(run_dues, &rs->waiting, r);
        rs->n_window++;
    }
    assert(!twin);
    (void)twin;
}

static void run_unlink(struct runs *rs, struct run *r)
{
    if (r->state == RUN_LEASED) {
        RB_REMOVE(run_places, &rs->places, r);
        RB_REMOVE(run_dues, &rs->leased, r);
    } else {
        RB_REMOVE(run_dues, &rs->waiting, r);
        rs->n_window--;
    }
}

void run_drop(struct runs *rs, struct run *r)
{
    run_unlink(rs, r);
    run_count(rs, r, false);
    r->gone = true;
    run_dirty(rs, r);
}

void run_forget(struct runs *rs, struct run *r)
{
    assert(!r->dirty);
    run_unlink(rs, r);
    free(r);
}

static struct run *run_new(uint32_t count, const uint64_t *bits)
{
    struct run *r = calloc(1, sizeof(*r) + run_words(count) * sizeof(uint64_t));
    if (!r)
        return NULL;
    r->count = count;
    for (uint32_t i = 0; i < run_words(count); i++) {
        uint64_t all = i * 64 + 64 <= count ? UINT64_MAX : (UINT64_C(1) << (count % 64)) - 1;
        r->bits[i] = bits ? bits[i] & all : all;
        r->live += (uint32_t)__builtin_popcountll(r->bits[i]);
    }
    return r;
}

/* Bits [from, from+count) of r, moved down to bit 0. */
static void run_bits_slice(const struct run *r, uint32_t from, uint32_t count, uint64_t *out)
{
    for (uint32_t i = 0; i < run_words(count); i++) {
        uint32_t at = from + i * 64, word = at / 64, shift = at % 64;
        uint64_t low = r->bits[word] >> shift;
        uint64_t high = shift && word + 1 < run_words(r->count) ? r->bits[word + 1] << (64 - shift) : 0;
        out[i] = low | high;
    }
}

/* Lets a run with live messages begin with the first of them. */
static void run_trim(struct run *r)
{
    uint64_t bits[RUN_WORDS_MAX];
    uint32_t word = 0;
    while (r->bits[word] == 0)
        word++;
    uint32_t dead = word * 64 + (uint32_t)__builtin_ctzll(r->bits[word]);
    if (dead == 0)
        return;
    run_bits_slice(r, dead, r->count - dead, bits);
    r->base += dead;
    r->count -= dead;
    memcpy(r->bits, bits, run_words(r->count) * sizeof(*bits));
}

/* Adds a new run, which has no row yet. */
static void run_insert(struct runs *rs, struct run *r)
{
    if (rs->overlap && !r->row) /* a row lies under its base */
        run_trim(r);
    run_link(rs, r);
    run_count(rs, r, true);
    run_dirty(rs, r);
}

struct run *run_add(struct runs *rs, uint32_t queue, uint64_t base, uint32_t count, enum run_state state,
                    struct run_past past, int64_t due_ms, const uint64_t *bits)
{
    assert(count >= 1 && count <= COUNT_MAX);
    struct run *r = run_new(count, bits);
    if (!r)
        return NULL;
    r->queue = queue;
    r->base = base;
    r->state = state;
    r->attempt = past.attempt;
    r->delivered = past.delivered;
    r->due_ms = due_ms;
    run_insert(rs, r);
    return r;
}

struct run *run_add_stored(struct runs *rs, uint32_t queue, uint64_t base, const struct run_row *row)
{
    struct run *r = run_new(row->count, row->bits);
    if (!r)
        return NULL;
    r->queue = queue;
    r->base = base;
    r->state = r->row = row->state;
    r->attempt = row->attempt;
    r->delivered = row->delivered;
    r->holder = row->holder;
    r->due_ms = r->row_due_ms = row->due_ms;
    run_link(rs, r);
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
    bool more = rs->overlap; /* then it may also be in one that begins earlier */
    while (more && r && r->queue == queue && offset - r->base < COUNT_MAX && !run_has(r, offset))
        r = RB_PREV(run_places, &rs->places, r);
    return r && r->queue == queue && run_has(r, offset) ? r : NULL;
}

static void run_less(struct runs *rs, struct run *r, uint32_t n)
{
    r->live -= n;
    if (r->state == RUN_LEASED)
        rs->n_leased -= n;
    else
        rs->n_waiting -= n;
    run_dirty(rs, r);
}

void run_clear(struct runs *rs, struct run *r, uint64_t offset)
{
    assert(run_has(r, offset));
    if (r->live == 1) {
        run_drop(rs, r);
        return;
    }
    uint64_t i = offset - r->base;
    r->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    run_less(rs, r, 1);
}

void run_extend(struct runs *rs, struct run *r, int64_t due_ms)
{
    assert(r->state == RUN_LEASED);
    RB_REMOVE(run_dues, &rs->leased, r);
    r->due_ms = due_ms;
    RB_INSERT(run_dues, &rs->leased, r);
    run_dirty(rs, r);
}

/* True where b continues a, and both began to wait in the open commit group. Only there: which older ones are in
 * memory must not decide what the rows look like. */
static bool run_joins(const struct run *a, const struct run *b)
{
    return a->row != RUN_WAITING && b->row != RUN_WAITING && a->queue == b->queue && a->due_ms == b->due_ms &&
           a->attempt == b->attempt && a->delivered == b->delivered && a->base + a->count == b->base && a->count + b->count <= COUNT_MAX;
}

/* Sets the bits of r, which begins `shift` places before `from`, that from has. */
static void run_add_bits(struct run *r, const struct run *from, uint32_t shift)
{
    for (uint32_t i = 0; i < run_words(from->count); i++) {
        uint32_t word = shift / 64 + i, at = shift % 64;
        r->bits[word] |= from->bits[i] << at;
        if (at && from->bits[i] >> (64 - at))
            r->bits[word + 1] |= from->bits[i] >> (64 - at);
    }
    r->live += from->live;
}

/* Makes one waiting run of two neighbours. NULL: no memory. */
static struct run *run_join(struct runs *rs, struct run *a, struct run *b)
{
    static const uint64_t none[RUN_WORDS_MAX];
    struct run *r = run_new(a->count + b->count, none);
    if (!r)
        return NULL;
    r->queue = a->queue;
    r->base = a->base;
    r->state = RUN_WAITING;
    r->attempt = a->attempt;
    r->delivered = a->delivered;
    r->due_ms = a->due_ms;
    run_add_bits(r, a, 0);
    run_add_bits(r, b, a->count);
    run_drop(rs, a);
    run_drop(rs, b);
    run_insert(rs, r);
    return r;
}

enum status run_wait(struct runs *rs, struct run *r, uint32_t attempt, int64_t due_ms)
{
    run_unlink(rs, r);
    run_count(rs, r, false);
    r->state = RUN_WAITING;
    r->delivered -= r->attempt - attempt;
    r->attempt = attempt;
    r->holder = 0;
    r->due_ms = due_ms;
    run_insert(rs, r);
    struct run *before = RB_PREV(run_dues, &rs->waiting, r), *after = RB_NEXT(run_dues, &rs->waiting, r);
    if (before && run_joins(before, r))
        r = run_join(rs, before, r);
    if (r && after && run_joins(r, after))
        r = run_join(rs, r, after);
    return r ? ST_OK : ST_NOMEM;
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
    part->delivered = r->delivered;
    part->holder = r->holder;
    part->due_ms = r->due_ms;
    return part;
}

/* Cuts a run in two at offset. A part without live messages is NULL. */
static enum status run_divide(struct runs *rs, struct run *r, uint64_t offset, struct run *parts[2])
{
    assert(offset > r->base && offset < r->base + r->count);
    uint32_t left_count = (uint32_t)(offset - r->base);
    parts[0] = run_part(r, 0, left_count);
    parts[1] = run_part(r, left_count, r->count - left_count);
    if (!parts[0] || !parts[1]) {
        free(parts[0]);
        free(parts[1]);
        return ST_NOMEM;
    }
    run_drop(rs, r);
    for (int i = 0; i < 2; i++) {
        if (parts[i]->live > 0) {
            run_insert(rs, parts[i]);
            continue;
        }
        free(parts[i]);
        parts[i] = NULL;
    }
    return ST_OK;
}

struct run *run_split(struct runs *rs, struct run *r, uint64_t offset)
{
    struct run *parts[2];
    return run_divide(rs, r, offset, parts) == ST_OK ? parts[1] : NULL;
}

enum status run_give(struct runs *rs, struct run *r, const uint64_t *bits, struct run **ret_rest)
{
    struct run *rest = run_part(r, 0, r->count);
    *ret_rest = NULL;
    if (!rest)
        return ST_NOMEM;
    rest->live = 0;
    for (uint32_t i = 0; i < run_words(r->count); i++) {
        rest->bits[i] &= ~bits[i];
        rest->live += (uint32_t)__builtin_popcountll(rest->bits[i]);
    }
    run_drop(rs, r);
    if (rest->live == 0) {
        free(rest);
        return ST_OK;
    }
    run_insert(rs, rest);
    *ret_rest = rest;
    return ST_OK;
}

struct run *run_cut_bits(struct runs *rs, struct run *r, const uint64_t *bits)
{
    struct run *part = run_part(r, 0, r->count), *rest = NULL;
    if (!part)
        return NULL;
    part->live = 0;
    for (uint32_t i = 0; i < run_words(r->count); i++) {
        part->bits[i] &= bits[i];
        part->live += (uint32_t)__builtin_popcountll(part->bits[i]);
    }
    assert(rs->overlap && part->live > 0);
    bool all = part->live == r->live;
    if (all || run_give(rs, r, bits, &rest) != ST_OK) {
        free(part);
        return all ? r : NULL;
    }
    run_insert(rs, part);
    return part;
}

enum status run_drop_before(struct runs *rs, struct run *r, uint64_t offset)
{
    assert(offset > r->base && offset < r->base + r->count);
    uint32_t gone = (uint32_t)(offset - r->base);
    struct run *rest = run_part(r, gone, r->count - gone);
    if (!rest)
        return ST_NOMEM;
    run_drop(rs, r);
    if (rest->live)
        run_insert(rs, rest);
    else
        free(rest);
    return ST_OK;
}

struct run *run_isolate(struct runs *rs, struct run *r, uint64_t offset)
{
    assert(run_has(r, offset));
    if (r->live == 1)
        return r;
    if (offset > r->base) {
        r = run_split(rs, r, offset);
        if (!r)
            return NULL;
    }
    if (r->count == 1 || r->live == 1)
        return r;
    struct run *parts[2];
    return run_divide(rs, r, offset + 1, parts) == ST_OK ? parts[0] : NULL;
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

struct run *run_begins(struct runs *rs, uint32_t queue, uint64_t first, uint64_t last)
{
    struct run want = {.queue = queue, .base = first};
    struct run *r = RB_NFIND(run_places, &rs->places, &want);
    return r && r->queue == queue && r->base <= last ? r : NULL;
}

struct run *run_behind(struct run *r, uint64_t last)
{
    struct run *next = RB_NEXT(run_places, NULL, r);
    return next && next->queue == r->queue && next->base <= last ? next : NULL;
}

struct run *run_from_queue(struct runs *rs, uint32_t queue)
{
    struct run want = {.queue = queue};
    return RB_NFIND(run_places, &rs->places, &want);
}

uint64_t run_leased_of(struct runs *rs, uint32_t queue)
{
    uint64_t n = 0;
    for (struct run *r = run_from_queue(rs, queue); r && r->queue == queue; r = RB_NEXT(run_places, &rs->places, r))
        n += r->live;
    return n;
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

uint32_t run_clear_in(struct runs *rs, struct run *r, uint64_t first, uint64_t last)
{
    uint32_t from = 0, to = 0, n = run_live_in(r, first, last);
    if (n == 0 || !run_clamp(r, first, last, &from, &to))
        return 0;
    if (n == r->live) {
        run_drop(rs, r);
        return n;
    }
    for (uint32_t w = from / 64; w <= to / 64; w++)
        r->bits[w] &= ~run_bits_between(w, from, to);
    run_less(rs, r, n);
    return n;
}

struct run *run_cut(struct runs *rs, struct run *r, uint64_t first, uint64_t last)
{
    uint32_t wanted = run_live_in(r, first, last);
    assert(wanted > 0);
    if (first > r->base && run_live_in(r, r->base, first - 1) > 0)
        r = run_split(rs, r, first);
    if (!r)
        return NULL;
    if (r->live == wanted)
        return r;
    struct run *parts[2];
    return run_divide(rs, r, last + 1, parts) == ST_OK ? parts[0] : NULL;
}

struct run *run_first_leased(struct runs *rs)
{
    return RB_MIN(run_dues, &rs->leased);
}

struct run *run_window_first(struct runs *rs)
{
    return RB_MIN(run_dues, &rs->waiting);
}

struct run *run_window_next(struct run *r)
{
    return RB_NEXT(run_dues, NULL, r);
}

struct run *run_window_last(struct runs *rs)
{
    return RB_MAX(run_dues, &rs->waiting);
}
