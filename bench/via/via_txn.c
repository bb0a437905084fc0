/*
 * via_txn.c: an op is a half message and its decision, both asynchronous; when it ends, the client's thread starts it
 * anew. A closed loop only.
 *
 *   start ─► hmq_txn_half_async ─► halved ─► hmq_txn_decide_async ─► decided ─► start ...
 *
 * The first op is started by the worker; its half starts the others, so that from then on all belongs to one thread.
 */
#include "bench/via/via_txn.h"

#include <stdlib.h>

#include "bench/base/mono.h"

struct via_op {
    struct via_txn *txn;
    int64_t begin_ns, decide_ns;
    bool measured, timed, rollback;
};

struct via_txn {
    struct via_link *via;
    hmq_txn_producer *producer;
    size_t n_ops;
    struct via_op *ops;
    uint64_t done, bytes, rolled_back; /* since handed_ns: not handed over yet */
    int64_t handed_ns;
    bool whole; /* every op has begun */
    _Atomic size_t active;
};

static bool via_txn_open(struct via_link *v, hmq_options *options)
{
    const struct load *load = v->worker->load;
    struct via_txn *t = calloc(1, sizeof *t);
    if (!t)
        return false;
    v->txn = t;
    t->via = v;
    t->n_ops = (size_t)v->share;
    t->ops = calloc(t->n_ops, sizeof *t->ops);
    for (size_t i = 0; t->ops && i < t->n_ops; i++)
        t->ops[i].txn = t;
    return t->ops && via_option(v, options, "max_inflight", 2 * t->n_ops) &&
           via_option(v, options, "max_inflight_bytes", 1u << 30) &&
           hmq_txn_producer_new(v->client, load->o->pgroup, NULL, NULL, options, &t->producer, &v->err) == HMQ_OK;
}

static bool via_txn_start(struct via_op *op);

static void via_txn_hand_over(struct via_txn *t)
{
    via_count(&t->via->done, t->done);
    via_count(&t->via->bytes, t->bytes);
    via_count(&t->via->rolled_back, t->rolled_back);
    t->done = t->bytes = t->rolled_back = 0;
    t->handed_ns = via_clock(t->via, false);
}

static void via_txn_decided(void *arg, hmq_reply *ids, const hmq_error *err)
{
    struct via_op *op = arg;
    struct via_link *v = op->txn->via;
    hmq_reply_free(ids);
    if (err->code != HMQ_OK) {
        via_trouble(v, err);
    } else if (op->measured) {
        op->txn->done++;
        op->txn->rolled_back += op->rollback;
    }
    if (err->code == HMQ_OK && op->measured && op->timed) {
        via_time(v, LAT_commit, op->decide_ns);
        via_time(v, LAT_half_commit, op->begin_ns);
    }
    if (via_clock(v, false) != op->txn->handed_ns)
        via_txn_hand_over(op->txn);
    (void)via_txn_start(op);
}

/* The others begin. */
static void via_txn_spread(struct via_txn *t)
{
    t->whole = true;
    for (size_t i = 1; i < t->n_ops; i++)
        (void)via_txn_start(&t->ops[i]);
}

static void via_txn_halved(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct via_op *op = arg;
    struct via_link *v = op->txn->via;
    hmq_error refused;
    if (!op->txn->whole)
        via_txn_spread(op->txn);
    if (txid == 0) {
        via_trouble(v, err);
        (void)via_txn_start(op);
        return;
    }
    if (op->timed)
        op->decide_ns = via_clock(v, true);
    if (op->measured && op->timed)
        via_time(v, LAT_half, op->begin_ns);
    if (hmq_txn_decide_async(op->txn->producer, txid, op->rollback ? HMQ_ROLLBACK : HMQ_COMMIT, HMQ_DEFAULT,
                             via_txn_decided, op, &refused) == HMQ_OK)
        return;
    via_trouble(v, &refused);
    (void)via_txn_start(op);
}

static void via_txn_end(struct via_txn *t)
{
    via_txn_hand_over(t);
    atomic_fetch_sub(&t->active, 1);
}

/* On the client's thread, but for the first time. False: it ends here. */
static bool via_txn_start(struct via_op *op)
{
    struct via_txn *t = op->txn;
    struct via_link *v = t->via;
    struct load *load = v->worker->load;
    hmq_error err;
    op->timed = v->seq % VIA_TXN_TIMED == 0;
    op->begin_ns = via_clock(v, op->timed);
    op->measured = load_measures(load, op->begin_ns);
    if (atomic_load(&load->abort) || load_claim(load, 1, op->begin_ns) == 0) {
        via_txn_end(t);
        return false;
    }
    op->rollback = load->o->rollback > 0 && chance_unit(&v->chance) < load->o->rollback;
    size_t size = via_body(v, op->begin_ns);
    t->bytes += op->measured ? size : 0; /* from when it is sent on, all may be another thread's */
    if (hmq_txn_half_async(t->producer, load->o->topic, v->worker->space, size, NULL, HMQ_DEFAULT, via_txn_halved, op, &err) ==
        HMQ_OK)
        return true;
    t->bytes -= op->measured ? size : 0;
    via_trouble(v, &err);
    via_txn_end(t);
    return false;
}

static void via_txn_begin(struct via_link *v)
{
    struct via_txn *t = v->txn;
    atomic_store(&t->active, t->n_ops);
    if (t->n_ops > 0 && !via_txn_start(&t->ops[0]))
        atomic_store(&t->active, 0); /* there was nothing to start */
}

static bool via_txn_goes_on(struct via_link *v)
{
    return atomic_load(&v->txn->active) > 0;
}

static void via_txn_close(struct via_link *v)
{
    struct via_txn *t = v->txn;
    if (!t)
        return;
    hmq_txn_producer_close(t->producer, 0, NULL);
    free(t->ops);
    free(t);
}

const struct via_role via_role_txn = {via_txn_open, via_txn_begin, via_txn_goes_on, via_txn_close};
