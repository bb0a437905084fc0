/*
 * ordered_switch.c: a group becomes ordered, or ceases to be (ordered_switch.h).
 *
 *   on    every message that is leased holds its key; of those that wait for a retry the first one of a key that
 *         nobody holds. The others that wait are skipped: they keep their attempt numbers, and lose their pauses. One
 *         that holds its key and expires before it is due waits until then only.
 *   off   all that is skipped waits for a retry that is due now
 *
 * What must be read is read before anything changes.
 */
#include "storage/group/ordered_switch.h"

#include <stdlib.h>

#include "storage/group/order.h"
#include "storage/group/ranked.h"
#include "storage/group/seek.h"
#include "storage/group/waiting.h"
#include "storage/model/log.h"

/* A message that was under way when the group became ordered. */
struct switched {
    struct run *run;
    struct ring_place place;
    int64_t expires_ms; /* waiting: when it does, if that is before it is due; otherwise INT64_MAX */
    bool skip;          /* it is skipped ... */
    bool leaves;        /* ... or it expires earlier: it leaves its run */
};

struct switching {
    struct state *st;
    struct gt *gt;
    struct switched *all;
    size_t n;
    struct order_reader reader;
};

/* Finds out whether a message that waits expires before it is due. */
static enum status switch_read_expiry(struct switching *w, struct switched *one)
{
    int64_t ms = INT64_MAX;
    enum status s = ST_OK;
    if (one->run->state == RUN_WAITING)
        s = log_expiry(w->st, w->gt->topic, one->place.queue, one->place.offset, &ms);
    one->expires_ms = s == ST_OK && ms < one->run->due_ms ? ms : INT64_MAX;
    return s == ST_DAMAGED || s == ST_BUSY ? ST_OK : s;
}

static enum status switch_read(struct switching *w, struct run *r)
{
    enum status s = ST_OK;
    if (r->state == RUN_WAITING && seek_voided(w->gt, r))
        return ST_OK;
    for (uint32_t i = 0; i < r->count && s == ST_OK; i++) {
        uint64_t offset = r->base + i;
        if (!run_has(r, offset) || offset < w->gt->topic->queues[r->queue].floor)
            continue;
        struct switched *one = &w->all[w->n];
        *one = (struct switched){.run = r};
        s = order_read(&w->reader, r->queue, offset, &one->place);
        if (s == ST_OK)
            s = switch_read_expiry(w, one);
        w->n += s == ST_OK && one->place.key;
    }
    return s;
}

/* Finds out the keys of all messages that are under way. */
static enum status switch_read_all(struct switching *w)
{
    struct runs *rs = &w->gt->runs;
    enum status s = ST_OK;
    for (struct run *q = run_from_queue(rs, 0); q && s == ST_OK; q = run_from_queue(rs, q->queue + 1))
        for (struct run *r = q; r && s == ST_OK; r = run_behind(r, UINT64_MAX))
            s = switch_read(w, r);
    for (struct run *r = run_window_first(rs); r && s == ST_OK; r = run_window_next(r))
        s = switch_read(w, r);
    return s;
}

/* Leased ones first, then by queue and offset. */
static int switch_by_place(const void *x, const void *y)
{
    const struct switched *a = x, *b = y;
    if (a->run->state != b->run->state)
        return a->run->state == RUN_LEASED ? -1 : 1;
    if (a->place.queue != b->place.queue)
        return a->place.queue < b->place.queue ? -1 : 1;
    return a->place.offset < b->place.offset ? -1 : a->place.offset > b->place.offset;
}

/* Decides who holds a key and who is skipped. */
static enum status switch_sort_out(struct switching *w, struct order *o)
{
    enum status s = ST_OK;
    qsort(w->all, w->n, sizeof(*w->all), switch_by_place);
    for (size_t i = 0; i < w->n && s == ST_OK; i++) {
        struct switched *one = &w->all[i];
        one->skip = one->run->state == RUN_WAITING && keyring_knows(&o->ring, one->place.queue, one->place.key);
        one->leaves = one->skip || one->expires_ms != INT64_MAX;
        s = one->skip ? order_skip(o, &one->place, (struct skip_past){one->run->attempt, one->run->delivered}) : keyring_hold(&o->ring, &one->place);
    }
    return s;
}

/* By run, so that each is changed once. */
static int switch_by_run(const void *x, const void *y)
{
    const struct switched *a = x, *b = y;
    if (a->leaves != b->leaves)
        return a->leaves ? -1 : 1;
    return a->run < b->run ? -1 : a->run > b->run;
}

/* One that holds its key and has left its run gets one of its own. */
static enum status switch_apart(struct switching *w, const struct switched *one, struct run_past past)
{
    int64_t due_ms = one->expires_ms > w->st->now_ms ? one->expires_ms : w->st->now_ms;
    if (one->skip)
        return ST_OK;
    return run_add(&w->gt->runs, one->place.queue, one->place.offset, 1, RUN_WAITING, past, due_ms, NULL) ? ST_OK : ST_NOMEM;
}

/* Takes what leaves the waiting runs out of them. First, as what gets a run of its own may lie at the place of the old one. */
static enum status switch_take_out(struct switching *w)
{
    enum status s = ST_OK;
    qsort(w->all, w->n, sizeof(*w->all), switch_by_run);
    for (size_t i = 0, next = 0; i < w->n && w->all[i].leaves && s == ST_OK; i = next) {
        struct run *r = w->all[i].run, *rest = NULL;
        struct run_past past = {r->attempt, r->delivered};
        uint64_t bits[RUN_WORDS_MAX] = {0};
        for (next = i; next < w->n && w->all[next].leaves && w->all[next].run == r; next++) {
            uint64_t at = w->all[next].place.offset - r->base;
            bits[at / 64] |= UINT64_C(1) << (at % 64);
        }
        s = run_give(&w->gt->runs, r, bits, &rest);
        for (size_t k = i; k < next && s == ST_OK; k++)
            s = switch_apart(w, &w->all[k], past);
    }
    return s;
}

static enum status switch_on(struct state *st, struct gt *gt)
{
    uint64_t most = gt->runs.n_leased + gt->runs.n_waiting;
    struct switching w = {.st = st, .gt = gt, .reader = {.st = st, .topic = gt->topic}};
    if (most > ORDERED_HELD_MAX)
        return ST_BUSY;
    enum status s = waiting_all(&gt->runs, st, gt->id);
    struct order *o = s == ST_OK ? order_new() : NULL;
    w.all = o ? malloc((most ? most : 1) * sizeof(*w.all)) : NULL;
    if (s == ST_OK)
        s = w.all ? switch_read_all(&w) : ST_NOMEM;
    if (s == ST_OK)
        s = switch_sort_out(&w, o);
    if (s != ST_OK) {
        order_free(o);
        free(w.all);
        return s;
    }
    gt->order = o;
    gt->flags |= GROUP_ORDERED | GROUP_OVERLAPS;
    gt->runs.overlap = true;
    s = switch_take_out(&w);
    st->sick = st->sick || s != ST_OK;
    free(w.all);
    group_dirty(st, gt);
    return s;
}

static enum status switch_wait(struct state *st, struct gt *gt, const struct skip *b)
{
    struct run_past past = {b->attempt, b->delivered};
    return run_add(&gt->runs, b->queue, b->base, SKIP_SPAN, RUN_WAITING, past, st->now_ms, b->bits) ? ST_OK : ST_NOMEM;
}

static enum status switch_off(struct state *st, struct gt *gt)
{
    struct order *o = gt->order;
    enum status s = ST_OK;
    for (struct skip *b = skips_from_queue(&o->skips, 0); b && s == ST_OK; b = skips_behind(b))
        s = switch_wait(st, gt, b);
    if (o->skips.n || o->skips.dirty) { /* what this commit group has taken from a block still has its row, too */
        struct key from = key_of_id('Z', gt->id), to = key_after(&from);
        kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
    }
    if (o->skips.n)
        core_news(st, &gt->news, (uint32_t)o->skips.n);
    order_free(o);
    gt->order = NULL;
    gt->flags &= ~(uint32_t)GROUP_ORDERED;
    st->sick = st->sick || s != ST_OK;
    group_dirty(st, gt);
    return s;
}

enum status ordered_switch(struct state *st, struct gt *gt, bool on)
{
    if (on == (gt->order != NULL))
        return ST_OK;
    enum status s = gt->topic->classes ? ranked_load(st, gt, true) : ST_OK;
    if (s == ST_OK)
        s = on ? switch_on(st, gt) : switch_off(st, gt);
    if (s == ST_OK)
        ranked_switch(st, gt, on);
    return s;
}
