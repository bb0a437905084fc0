/*
 * transactor.c: an op is one transaction.
 *
 *   HALF ─► (the other halves of a --batch, with TXN) ─► (--work) ─┬─► COMMIT or ROLLBACK ─► done
 *                                                                  └─► left alone: done
 *
 * The checker (checker.c) commits a transaction that was left alone when the broker asks about it.
 */
#include "bench/roles/transactor.h"

#include "bench/load/link.h"
#include "bench/roles/txids.h"
#include "protocol/base/text.h"

enum transactor_stage { STAGE_FIRST, STAGE_MORE, STAGE_WORK, STAGE_DECIDE };
enum transactor_fate { FATE_COMMIT, FATE_ROLLBACK, FATE_LEAVE };

static struct slice transactor_txid(const struct op *op)
{
    return slice_of(op->txid, op->txid_len);
}

static void transactor_ask_half(struct load_link *l, struct op *op, uint32_t part)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    struct body_head head = {load->id, op->key, op->seq + part, op->intended_ns};
    struct wire_ask a = {.kind = ASK_HALF, .topic = load->topic, .group = load->pgroup, .txid = transactor_txid(op)};
    struct chance c = chance_from(load->o->seed ^ head.seq << 20, head.key);
    uint64_t size = dist_draw(&load->o->size, &c);
    if (load->txids || load->o->given[BENCH_checkin])
        a.checkin_ms = load->o->checkin / NS_PER_MS;
    if (w->filled)
        body_patch(&head, w->space, (size_t)size);
    else
        body_make(&load->pool, &head, false, w->space, (size_t)size);
    a.body = slice_of(w->space, (size_t)size);
    op->bytes += size;
    link_ask(l, op, part, &a);
}

static void transactor_start(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    double u = chance_unit(&l->chance);
    atomic_fetch_add_explicit(&load->started, op->n, memory_order_relaxed);
    op->fate = u < load->o->undecided                    ? FATE_LEAVE
               : u < load->o->undecided + load->o->rollback ? FATE_ROLLBACK
                                                      : FATE_COMMIT;
    op->key = l->index;
    op->seq = l->seq;
    l->seq += op->n;
    op->stage = STAGE_FIRST;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    transactor_ask_half(l, op, 0);
}

static void transactor_count(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    METER_COUNT(&w->meter, sent, op->n);
    if (!load_measures(w->load, op->intended_ns))
        return;
    METER_COUNT(&w->meter, messages, op->n);
    METER_COUNT(&w->meter, bytes, op->bytes);
    METER_COUNT(&w->meter, operations, 1);
    METER_COUNT(&w->meter, transactions, 1);
    METER_COUNT(&w->meter, rolled_back, op->fate == FATE_ROLLBACK);
}

static void transactor_end(struct load_link *l, struct op *op)
{
    atomic_store_explicit(&l->worker->load->progress_ns, l->worker->now_ns, memory_order_relaxed);
    op->left = 0;
    link_done(l, op);
}

static void transactor_leave(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    uint64_t txid;
    if (!text_txid(transactor_txid(op), &txid))
        worker_trouble(l->worker,
                       SLICE_LIT("TESTER the reply to a HALF is not a txid"));
    else if (!txids_put(load->txids, txid, op->asked_ns + load->o->checkin))
        load_fail(load, "no memory to remember another undecided transaction");
    transactor_end(l, op);
}

static void transactor_decide(struct load_link *l, struct op *op)
{
    if (op->fate == FATE_LEAVE) {
        transactor_leave(l, op);
        return;
    }
    struct wire_ask a = {.kind = op->fate == FATE_COMMIT ? ASK_COMMIT : ASK_ROLLBACK,
                    .txid = transactor_txid(op)};
    op->stage = STAGE_DECIDE;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

static void transactor_work(struct load_link *l, struct op *op)
{
    int64_t for_ns = (int64_t)dist_draw(&l->worker->load->o->work, &l->chance);
    op->stage = STAGE_WORK;
    if (for_ns > 0)
        link_pause(l, op, for_ns);
    else
        transactor_decide(l, op);
}

static void transactor_more(struct load_link *l, struct op *op)
{
    op->stage = STAGE_MORE;
    for (uint32_t part = 1; part < op->n; part++)
        transactor_ask_half(l, op, part);
    op->left = op->n - 1;
    if (op->left == 0)
        transactor_work(l, op);
}

static void transactor_first_answered(struct load_link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct slice text;
    if (!w->load->dialect->bytes(a->result, &text) || text.len >= sizeof op->txid) {
        worker_trouble(w, SLICE_LIT("TESTER the reply to a HALF is not a txid"));
        transactor_end(l, op);
        return;
    }
    memcpy(op->txid, text.data, text.len);
    op->txid_len = (uint8_t)text.len;
    if (load_measures(w->load, op->intended_ns))
        meter_time(&w->meter, LAT_half, op->intended_ns, w->now_ns, 1);
    transactor_more(l, op);
}

static void transactor_decided(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    if (load_measures(w->load, op->intended_ns)) {
        meter_time(&w->meter, LAT_commit, op->asked_ns, w->now_ns, 1);
        meter_time(&w->meter, LAT_half_commit, op->intended_ns, w->now_ns, 1);
    }
    transactor_count(l, op);
    transactor_end(l, op);
}

/* After BUSY the same request is repeated, after a pause. If one of several halves was refused, the tester does not
 * know which, and rolls the transaction back. */
static void transactor_refused(struct load_link *l, struct op *op, const struct answer *a)
{
    if (a->busy && op->stage != STAGE_MORE) {
        METER_COUNT(&l->worker->meter, retries, 1);
        link_pause(l, op, PAUSE_BUSY_NS);
        return;
    }
    worker_trouble(l->worker, a->text);
    if (op->stage != STAGE_MORE) {
        transactor_end(l, op);
        return;
    }
    op->fate = FATE_ROLLBACK;
    if (op->left == 0)
        transactor_decide(l, op);
}

static void transactor_answered(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    (void)part;
    if (a->kind == ANSWER_REFUSED)
        transactor_refused(l, op, a);
    else if (op->stage == STAGE_FIRST)
        transactor_first_answered(l, op, a);
    else if (op->stage == STAGE_DECIDE)
        transactor_decided(l, op);
    else if (op->left == 0)
        transactor_work(l, op);
}

static void transactor_remind(struct load_link *l, struct op *op)
{
    if (op->again) { /* the connection broke during its work */
        worker_trouble(l->worker, SLICE_LIT("BROKEN the connection broke during a transaction"));
        transactor_end(l, op);
    } else if (op->stage == STAGE_FIRST) {
        op->left = 1;
        op->bytes = 0;
        transactor_ask_half(l, op, 0);
    } else {
        transactor_decide(l, op);
    }
}

static void transactor_broken(struct load_link *l, struct op *op)
{
    op->left = 0;
    if (reminder_set(&op->pause)) {
        op->again = true;
        return;
    }
    worker_trouble(l->worker, SLICE_LIT("BROKEN the connection broke during a transaction"));
    transactor_end(l, op);
}

const struct role role_transactor = {
    .name = "transactor",
    .sends = true,
    .paced = true,
    .claim = link_claim_batch,
    .start = transactor_start,
    .answered = transactor_answered,
    .remind = transactor_remind,
    .broken = transactor_broken,
};
