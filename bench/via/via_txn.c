/*
 * via_txn.c: an op is a half message and its decision, both asynchronous; when it ends, the client's thread starts it
 * anew. A closed loop only.
 *
 *   start ─► hmq_txn_half_async ─► halved ─► hmq_txn_decide_async ─► decided ─► start ...
 */
#include "bench/via/via_txn.h"

#include <stdlib.h>

#include "bench/base/mono.h"

struct via_op {
    struct via_txn *txn;
    int64_t begin_ns, decide_ns;
    bool measured, rollback;
    uint8_t *body;
};

struct via_txn {
    struct via_link *via;
    hmq_txn_producer *producer;
    size_t n_ops;
    struct via_op *ops;
    uint8_t *bodies;
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
    t->bodies = malloc(t->n_ops * load->pool.most);
    for (size_t i = 0; t->ops && t->bodies && i < t->n_ops; i++)
        t->ops[i] = (struct via_op){.txn = t, .body = t->bodies + i * load->pool.most};
    return t->ops && t->bodies && via_option(v, options, "max_inflight", 2 * t->n_ops) &&
           via_option(v, options, "max_inflight_bytes", 1u << 30) &&
           hmq_txn_producer_new(v->client, load->o->pgroup, NULL, NULL, options, &t->producer, &v->err) == HMQ_OK;
}

static void via_txn_start(struct via_op *op);

static void via_txn_decided(void *arg, hmq_reply *ids, const hmq_error *err)
{
    struct via_op *op = arg;
    struct via_link *v = op->txn->via;
    hmq_reply_free(ids);
    if (err->code != HMQ_OK) {
        via_trouble(v, err);
    } else if (op->measured) {
        via_count(&v->done, 1);
        via_count(&v->rolled_back, op->rollback);
        via_time(v, LAT_commit, op->decide_ns);
        via_time(v, LAT_half_commit, op->begin_ns);
    }
    via_txn_start(op);
}

static void via_txn_halved(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct via_op *op = arg;
    struct via_link *v = op->txn->via;
    hmq_error refused;
    if (txid == 0) {
        via_trouble(v, err);
        via_txn_start(op);
        return;
    }
    op->decide_ns = mono_ns();
    if (op->measured)
        via_time(v, LAT_half, op->begin_ns);
    if (hmq_txn_decide_async(op->txn->producer, txid, op->rollback ? HMQ_ROLLBACK : HMQ_COMMIT, HMQ_DEFAULT,
                             via_txn_decided, op, &refused) == HMQ_OK)
        return;
    via_trouble(v, &refused);
    via_txn_start(op);
}

/* On the client's thread, but for the first time. The chance and the numbers of bodies are the client thread's then. */
static void via_txn_start(struct via_op *op)
{
    struct via_txn *t = op->txn;
    struct via_link *v = t->via;
    struct load *load = v->worker->load;
    hmq_error err;
    op->begin_ns = mono_ns();
    op->measured = load_measures(load, op->begin_ns);
    if (atomic_load(&load->abort) || load_claim(load, 1, op->begin_ns) == 0) {
        atomic_fetch_sub(&t->active, 1);
        return;
    }
    pthread_mutex_lock(&v->lock);
    op->rollback = load->o->rollback > 0 && chance_unit(&v->chance) < load->o->rollback;
    size_t size = via_body(v, op->begin_ns, op->body);
    pthread_mutex_unlock(&v->lock);
    if (hmq_txn_half_async(t->producer, load->o->topic, op->body, size, NULL, HMQ_DEFAULT, via_txn_halved, op, &err) ==
        HMQ_OK) {
        via_count(&v->bytes, op->measured ? size : 0);
        return;
    }
    via_trouble(v, &err);
    atomic_fetch_sub(&t->active, 1);
}

static void via_txn_run(struct via_link *v)
{
    struct via_txn *t = v->txn;
    atomic_store(&t->active, t->n_ops);
    for (size_t i = 0; i < t->n_ops; i++)
        via_txn_start(&t->ops[i]);
    while (atomic_load(&t->active) > 0 && via_turn(v))
        via_rest();
}

static void via_txn_close(struct via_link *v)
{
    struct via_txn *t = v->txn;
    if (!t)
        return;
    hmq_txn_producer_close(t->producer, 0, NULL);
    free(t->ops);
    free(t->bodies);
    free(t);
}

const struct via_role via_role_txn = {via_txn_open, via_txn_run, via_txn_close};
