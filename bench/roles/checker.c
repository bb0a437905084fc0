/*
 * checker.c: one connection that serves the broker's check-backs: it is asked about transactions that were left
 * undecided, and commits them.
 *
 *   rpc    checks_serve once; then the broker sends a request for each transaction, which is answered `commit'
 *   resp   CHECKS ... WAIT again and again, and a COMMIT for each transaction that it returns
 *
 * It ends when the transactors have ended and every transaction that was left undecided has been asked about. If
 * the broker asks about none for --patience, the load is given up. A question about a transaction that the transactor
 * is still deciding is not answered: the broker asks again if it has to.
 */
#include "bench/roles/checker.h"

#include "bench/load/link.h"
#include "bench/roles/txids.h"
#include "protocol/base/text.h"

#define CHECKS_A_POLL 100u
#define OP_ASK 0 /* the part of the op that is CHECKS; the other parts are COMMITs */
#define LOOK_NS (20 * NS_PER_MS)

static bool checker_finished(struct load_link *l)
{
    struct load *load = l->worker->load;
    return atomic_load(&load->senders) == 0 && txids_count(load->txids) == 0;
}

static uint32_t checker_claim(struct load_link *l, int64_t intended_ns)
{
    (void)intended_ns;
    return checker_finished(l) ? 0 : 1;
}

static void checker_start(struct load_link *l, struct op *op)
{
    struct wire_ask a = {.kind = ASK_CHECKS,
                    .group = l->worker->load->pgroup,
                    .count = CHECKS_A_POLL,
                    .wait_ms = POP_WAIT_MS};
    op->left = 1;
    link_ask(l, op, OP_ASK, &a);
}

/* Counts a question of the broker. False: the transaction is not one that was left undecided. */
static bool checker_asked(struct load_link *l, struct slice text)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    uint64_t txid;
    int64_t due;
    if (!text_txid(text, &txid) || !txids_take(load->txids, txid, &due))
        return false;
    atomic_store_explicit(&load->progress_ns, w->now_ns, memory_order_relaxed);
    if (load_measures(load, due - load->o->checkin)) {
        meter_time(&w->meter, LAT_check, due, w->now_ns, 1);
        METER_COUNT(&w->meter, messages, load->o->batch);
        METER_COUNT(&w->meter, operations, 1);
        METER_COUNT(&w->meter, transactions, 1);
        METER_COUNT(&w->meter, checked, 1);
    }
    return true;
}

static void checker_question(struct load_link *l, const struct answer *a)
{
    struct wire_ask decision = {.kind = ASK_DECIDE, .tag = a->tag, .txid = a->text};
    if (checker_asked(l, a->text))
        speech_put(&l->speech, &l->out, &decision);
}

struct checker_poll {
    struct load_link *link;
    struct op *op;
    uint32_t parts;
};

static void checker_polled(void *arg, struct slice txid)
{
    struct checker_poll *p = arg;
    struct wire_ask decision = {.kind = ASK_DECIDE, .txid = txid};
    if (!checker_asked(p->link, txid) || p->parts == CHECKS_A_POLL)
        return;
    link_ask(p->link, p->op, ++p->parts, &decision);
}

static void checker_answered(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct checker_poll p = {l, op, 0};
    if (a->kind == ANSWER_REFUSED)
        worker_trouble(l->worker, a->text);
    else if (part == OP_ASK && !l->worker->load->dialect->checks(a->result, checker_polled, &p))
        load_fail(l->worker->load, "the reply to CHECKS cannot be read");
    op->left += p.parts;
    if (op->left == 0)
        link_pause(l, op, l->worker->load->dialect->ordered && a->kind == ANSWER_DONE ? 0 : LOOK_NS);
}

/* resp: asks again; rpc: only looks whether the checker has finished. */
static void checker_remind(struct load_link *l, struct op *op)
{
    if (checker_finished(l) || op->again)
        link_done(l, op);
    else if (l->worker->load->dialect->ordered)
        checker_start(l, op);
    else
        link_pause(l, op, LOOK_NS);
}

static void checker_broken(struct load_link *l, struct op *op)
{
    (void)l;
    op->left = 0;
    op->again = true;
    if (!reminder_set(&op->pause))
        link_done(l, op);
}

const struct role role_checker = {
    .name = "checker",
    .parts = CHECKS_A_POLL + 2,
    .claim = checker_claim,
    .start = checker_start,
    .answered = checker_answered,
    .remind = checker_remind,
    .broken = checker_broken,
    .question = checker_question,
};
