/* pump.c: takes free ops of a link and starts them, as its pace and the budget allow. */
#include "bench/load/pump.h"

/* False: not yet (a reminder is set), or never again. */
static bool pump_may_start(struct load_link *l, int64_t *ret_intended_ns)
{
    struct worker *w = l->worker;
    bool open = pace_is_open(&l->pace);
    int64_t due = open ? pace_due(&l->pace) : w->load->begin_ns + l->join_ns;
    if (open && due >= w->load->stop_ns) {
        l->phase = LINK_ENDS;
        return false;
    }
    if (due > w->now_ns) {
        if (!reminder_set(&l->start_later))
            worker_remind(w, &l->start_later, due);
        return false;
    }
    *ret_intended_ns = open ? due : w->now_ns;
    return true;
}

/* A new op keeps the memory and the reminder of the one before it; the reminder may still be set. */
static void pump_start(struct load_link *l, int64_t intended_ns, uint32_t n)
{
    struct op *op = &l->ops[l->free_ops[--l->n_free]];
    struct buf receipts = op->receipts;
    struct seen *seen = op->seen;
    struct reminder pause = op->pause;
    *op = (struct op){.intended_ns = intended_ns,
                      .n = n,
                      .claimed = n,
                      .active = true,
                      .pause = pause,
                      .receipts = receipts,
                      .seen = seen};
    l->n_active++;
    l->role->start(l, op);
}

static void pump_finish(struct load_link *l)
{
    l->phase = LINK_DONE;
    l->worker->n_done++;
    if (l->role->sends)
        atomic_fetch_sub(&l->worker->load->senders, 1);
}

void pump_link(struct load_link *l)
{
    struct load *load = l->worker->load;
    int64_t intended;
    /* If a worker was busy when the load began, its now_ns is too old; it will be woken. */
    if (l->phase == LINK_DONE || !atomic_load(&load->go) || l->worker->now_ns < load->begin_ns)
        return;
    while (l->state == LINK_UP && l->n_free > 0 && l->phase == LINK_STARTS && pump_may_start(l, &intended)) {
        uint32_t n = l->role->claim(l, intended);
        if (n == 0) {
            l->phase = LINK_ENDS;
            break;
        }
        if (pace_is_open(&l->pace))
            pace_step(&l->pace);
        pump_start(l, intended, n);
    }
    if (l->phase == LINK_ENDS && l->n_active == 0)
        pump_finish(l);
}
