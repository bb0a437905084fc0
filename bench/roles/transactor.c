/*
 * transactor.c: an op is one transaction.
 *
 *   HALF ─► (the other halves of a --batch, with TXN) ─► (--work) ─┬─► COMMIT or ROLLBACK ─► done
 *                                                                  └─► left alone: done
 *
 * What is left alone is decided by the checker (checker.c) when the broker asks.
 */
#include "bench/roles/transactor.h"

#include "bench/base/units.h"
#include "protocol/base/text.h"

enum stage { STAGE_FIRST, STAGE_MORE, STAGE_WORK, STAGE_DECIDE };
enum fate { FATE_COMMIT, FATE_ROLLBACK, FATE_LEAVE };

static struct slice txid_of(const struct op *op)
{
    return slice_of(op->txid, op->txid_len);
}

static void ask_half(struct link *l, struct op *op, uint32_t part)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    struct body_head head = {r->id, op->key, op->seq + part, op->intended_ns};
    struct ask a = {.kind = ASK_HALF, .topic = r->topic, .group = r->pgroup, .txid = txid_of(op)};
    struct chance c = chance_from(r->o->seed ^ head.seq << 20, head.key);
    uint64_t size = dist_draw(&r->o->size, &c);
    if (r->txids || r->o->given[BENCH_checkin])
        a.checkin_ms = r->o->checkin / NS_PER_MS;
    if (w->filled)
        body_patch(&head, w->space, (size_t)size);
    else
        body_make(&r->pool, &head, false, w->space, (size_t)size);
    a.body = slice_of(w->space, (size_t)size);
    op->bytes += size;
    link_ask(l, op, part, &a);
}

static uint32_t claim(struct link *l)
{
    int64_t intended = pace_is_open(&l->pace) ? pace_due(&l->pace) : l->worker->now_ns;
    return run_claim(l->worker->run, (uint32_t)l->worker->run->o->batch, intended);
}

static void start(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    double u = chance_unit(&l->chance);
    atomic_fetch_add_explicit(&r->started, op->n, memory_order_relaxed);
    op->fate = u < r->o->undecided                    ? FATE_LEAVE
               : u < r->o->undecided + r->o->rollback ? FATE_ROLLBACK
                                                      : FATE_COMMIT;
    op->key = l->index;
    op->seq = l->seq;
    l->seq += op->n;
    op->stage = STAGE_FIRST;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    ask_half(l, op, 0);
}

static void count(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    METER_COUNT(&w->meter, sent, op->n);
    if (!run_measures(w->run, op->intended_ns))
        return;
    METER_COUNT(&w->meter, messages, op->n);
    METER_COUNT(&w->meter, bytes, op->bytes);
    METER_COUNT(&w->meter, operations, 1);
    METER_COUNT(&w->meter, transactions, 1);
    METER_COUNT(&w->meter, rolled_back, op->fate == FATE_ROLLBACK);
}

static void end(struct link *l, struct op *op)
{
    atomic_store_explicit(&l->worker->run->progress_ns, l->worker->now_ns, memory_order_relaxed);
    op->left = 0;
    op_done(l, op);
}

static void leave(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    uint64_t txid;
    if (!text_txid(txid_of(op), &txid))
        run_trouble(l->worker,
                    SLICE_LIT("TESTER a HALF was answered by something that is no txid"));
    else if (!txids_put(r->txids, txid, op->asked_ns + r->o->checkin))
        run_fail(r, "no memory to remember another undecided transaction");
    end(l, op);
}

static void decide(struct link *l, struct op *op)
{
    if (op->fate == FATE_LEAVE) {
        leave(l, op);
        return;
    }
    struct ask a = {.kind = op->fate == FATE_COMMIT ? ASK_COMMIT : ASK_ROLLBACK,
                    .txid = txid_of(op)};
    op->stage = STAGE_DECIDE;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

static void work(struct link *l, struct op *op)
{
    int64_t for_ns = (int64_t)dist_draw(&l->worker->run->o->work, &l->chance);
    op->stage = STAGE_WORK;
    if (for_ns > 0)
        op_pause(l, op, for_ns);
    else
        decide(l, op);
}

static void more(struct link *l, struct op *op)
{
    op->stage = STAGE_MORE;
    for (uint32_t part = 1; part < op->n; part++)
        ask_half(l, op, part);
    op->left = op->n - 1;
    if (op->left == 0)
        work(l, op);
}

static void first_answered(struct link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct slice text;
    if (!w->run->dialect->bytes(a->result, &text) || text.len >= sizeof op->txid) {
        run_trouble(w, SLICE_LIT("TESTER a HALF was answered by something that is no txid"));
        end(l, op);
        return;
    }
    memcpy(op->txid, text.data, text.len);
    op->txid_len = (uint8_t)text.len;
    if (run_measures(w->run, op->intended_ns))
        meter_time(&w->meter, LAT_half, op->intended_ns, w->now_ns, 1);
    more(l, op);
}

static void decided(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    if (run_measures(w->run, op->intended_ns)) {
        meter_time(&w->meter, LAT_commit, op->asked_ns, w->now_ns, 1);
        meter_time(&w->meter, LAT_half_commit, op->intended_ns, w->now_ns, 1);
    }
    count(l, op);
    end(l, op);
}

/* Busy: the same request again after a pause; but of several halves nobody knows which, so these
 * are rolled back. */
static void refused(struct link *l, struct op *op, const struct answer *a)
{
    if (a->busy && op->stage != STAGE_MORE) {
        METER_COUNT(&l->worker->meter, retries, 1);
        op_pause(l, op, PAUSE_BUSY_NS);
        return;
    }
    run_trouble(l->worker, a->text);
    if (op->stage != STAGE_MORE) {
        end(l, op);
        return;
    }
    op->fate = FATE_ROLLBACK;
    if (op->left == 0)
        decide(l, op);
}

static void answered(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    (void)part;
    if (a->kind == ANSWER_REFUSED)
        refused(l, op, a);
    else if (op->stage == STAGE_FIRST)
        first_answered(l, op, a);
    else if (op->stage == STAGE_DECIDE)
        decided(l, op);
    else if (op->left == 0)
        work(l, op);
}

static void remind(struct link *l, struct op *op)
{
    if (op->again) { /* the connection broke during its work */
        run_trouble(l->worker, SLICE_LIT("BROKEN the connection broke during a transaction"));
        end(l, op);
    } else if (op->stage == STAGE_FIRST) {
        op->left = 1;
        op->bytes = 0;
        ask_half(l, op, 0);
    } else {
        decide(l, op);
    }
}

static void broken(struct link *l, struct op *op)
{
    op->left = 0;
    if (op->reminded) {
        op->again = true;
        return;
    }
    run_trouble(l->worker, SLICE_LIT("BROKEN the connection broke during a transaction"));
    end(l, op);
}

const struct role role_transactor = {
    .name = "transactor",
    .sends = true,
    .paced = true,
    .claim = claim,
    .start = start,
    .answered = answered,
    .remind = remind,
    .broken = broken,
};
