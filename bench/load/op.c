/*
 * op.c: when the next op starts. The one place where open and closed loop differ: an open loop
 * starts at the moment that its pace has fixed, and counts from there even if it comes to it late;
 * a closed loop starts now.
 */
#include "bench/load/load.h"

#include <assert.h>

#include "bench/base/mono.h"
#include "bench/base/units.h"

uint32_t run_claim(struct run *r, uint32_t n, int64_t intended_ns)
{
    if (intended_ns >= r->stop_ns)
        return 0;
    if (!run_measures(r, intended_ns))
        return n;
    int64_t had = atomic_fetch_sub(&r->budget, n);
    if (had >= (int64_t)n)
        return n;
    uint32_t got = had > 0 ? (uint32_t)had : 0;
    atomic_fetch_add(&r->budget, (int64_t)n - got);
    return got;
}

void run_unclaim(struct run *r, uint32_t n)
{
    atomic_fetch_add(&r->budget, n);
}

static uint32_t number_of(const struct link *l, const struct op *op)
{
    return (uint32_t)(op - l->ops);
}

void op_pause(struct link *l, struct op *op, int64_t for_ns)
{
    assert(!op->reminded);
    op->reminded = true;
    agenda_put(&l->worker->agenda, l->worker->now_ns + for_ns, l, number_of(l, op));
}

void op_done(struct link *l, struct op *op)
{
    assert(op->active && op->left == 0);
    op->active = false;
    l->n_active--;
    l->free_ops[l->n_free++] = number_of(l, op);
}

static void remind_to_start(struct link *l, int64_t at_ns)
{
    if (!l->start_reminded)
        agenda_put(&l->worker->agenda, at_ns, l, WHAT_START);
    l->start_reminded = true;
}

/* False: not yet (a reminder is set), or never again. */
static bool may_start(struct link *l, int64_t *ret_intended_ns)
{
    struct worker *w = l->worker;
    bool open = pace_is_open(&l->pace);
    int64_t due = open ? pace_due(&l->pace) : w->run->begin_ns + l->join_ns;
    if (open && due >= w->run->stop_ns) {
        l->exhausted = true;
        return false;
    }
    if (due > w->now_ns) {
        remind_to_start(l, due);
        return false;
    }
    *ret_intended_ns = open ? due : w->now_ns;
    return true;
}

static void start(struct link *l, int64_t intended_ns, uint32_t n)
{
    struct op *op = &l->ops[l->free_ops[--l->n_free]];
    struct buf receipts = op->receipts;
    struct seen *seen = op->seen;
    bool reminded = op->reminded; /* an old entry that the agenda still holds */
    *op = (struct op){.intended_ns = intended_ns,
                      .n = n,
                      .claimed = n,
                      .active = true,
                      .reminded = reminded,
                      .receipts = receipts,
                      .seen = seen};
    l->n_active++;
    l->role->start(l, op);
}

static void finish(struct link *l)
{
    l->done = true;
    l->worker->n_done++;
    if (l->role->sends)
        atomic_fetch_sub(&l->worker->run->senders, 1);
}

void op_pump(struct link *l)
{
    struct run *r = l->worker->run;
    int64_t intended;
    /* A worker that was busy when the run began has an old idea of now; it will be woken. */
    if (l->done || !atomic_load(&r->go) || l->worker->now_ns < r->begin_ns)
        return;
    while (l->state == LINK_UP && l->n_free > 0 && !l->exhausted && may_start(l, &intended)) {
        uint32_t n = l->role->claim(l);
        if (n == 0) {
            l->exhausted = true;
            break;
        }
        if (pace_is_open(&l->pace))
            pace_step(&l->pace);
        start(l, intended, n);
    }
    if (l->exhausted && l->n_active == 0)
        finish(l);
}
