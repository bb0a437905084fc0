/*
 * checker.c: one connection that is asked back about transactions that were left undecided, and
 * commits them.
 *
 *   rpc    checks_serve once; then each question is a request of the broker's, answered `commit'
 *   resp   CHECKS ... WAIT, again and again, each one a COMMIT
 *
 * It ends when the transactors have, and every transaction that was left has been asked for. What
 * was not asked for in --patience counts as an error. A question about a transaction that is still
 * being decided in the ordinary way is not answered: the broker will ask again if it has to.
 */
#include "bench/roles/checker.h"

#include "bench/base/units.h"
#include "protocol/base/text.h"

#define OP_ASK 0 /* part of the op that asks; the other parts are decisions under way */
#define LOOK_NS (20 * NS_PER_MS)

static bool finished(struct link *l)
{
    struct run *r = l->worker->run;
    return atomic_load(&r->senders) == 0 && txids_count(r->txids) == 0;
}

static uint32_t claim(struct link *l)
{
    return finished(l) ? 0 : 1;
}

static void start(struct link *l, struct op *op)
{
    struct ask a = {.kind = ASK_CHECKS,
                    .group = l->worker->run->pgroup,
                    .count = CHECKS_A_POLL,
                    .wait_ms = POP_WAIT_MS};
    op->left = 1;
    link_ask(l, op, OP_ASK, &a);
}

/* The broker has asked. False: it is none of those that were left. */
static bool asked(struct link *l, struct slice text)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    uint64_t txid;
    int64_t due;
    if (!text_txid(text, &txid) || !txids_take(r->txids, txid, &due))
        return false;
    atomic_store_explicit(&r->progress_ns, w->now_ns, memory_order_relaxed);
    if (run_measures(r, due - r->o->checkin)) {
        meter_time(&w->meter, LAT_check, due, w->now_ns, 1);
        METER_COUNT(&w->meter, messages, r->o->batch);
        METER_COUNT(&w->meter, operations, 1);
        METER_COUNT(&w->meter, transactions, 1);
        METER_COUNT(&w->meter, checked, 1);
    }
    return true;
}

static void question(struct link *l, const struct answer *a)
{
    struct ask decision = {.kind = ASK_DECIDE, .tag = a->tag, .txid = a->text};
    if (asked(l, a->text))
        speech_put(&l->speech, &l->out, &decision);
}

struct polled {
    struct link *link;
    struct op *op;
    uint32_t parts;
};

static void polled(void *arg, struct slice txid)
{
    struct polled *p = arg;
    struct ask decision = {.kind = ASK_DECIDE, .txid = txid};
    if (!asked(p->link, txid) || p->parts == CHECKS_A_POLL)
        return;
    link_ask(p->link, p->op, ++p->parts, &decision);
}

static void answered(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct polled p = {l, op, 0};
    if (a->kind == ANSWER_REFUSED)
        run_trouble(l->worker, a->text);
    else if (part == OP_ASK && !l->worker->run->dialect->checks(a->result, polled, &p))
        run_fail(l->worker->run, "the answer to CHECKS has another shape than expected");
    op->left += p.parts;
    if (op->left == 0)
        op_pause(l, op, l->worker->run->dialect->ordered && a->kind == ANSWER_DONE ? 0 : LOOK_NS);
}

/* rpc: only looks whether it is over; resp: asks again. */
static void remind(struct link *l, struct op *op)
{
    if (finished(l) || op->again)
        op_done(l, op);
    else if (l->worker->run->dialect->ordered)
        start(l, op);
    else
        op_pause(l, op, LOOK_NS);
}

static void broken(struct link *l, struct op *op)
{
    (void)l;
    op->left = 0;
    op->again = true;
    if (!op->reminded)
        op_done(l, op);
}

const struct role role_checker = {
    .name = "checker",
    .claim = claim,
    .start = start,
    .answered = answered,
    .remind = remind,
    .broken = broken,
    .question = question,
};
