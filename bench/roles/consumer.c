/*
 * consumer.c: an op is one POP, the work on what it brought, and its ACK.
 *
 *   asked POP ─► nothing: done
 *             └► messages ─► (--work for each) ─► asked ACK ─► done
 *
 * In consume a link stops when the budget is used up; in e2e and verify when the producers have
 * ended, all that they sent has been taken, and the queue was found empty once more.
 */
#include "bench/roles/consumer.h"

#include <assert.h>
#include <stdlib.h>

#include "bench/base/units.h"
#include "protocol/base/text.h"
#include "protocol/limits.h"

enum stage { STAGE_POP, STAGE_WORK, STAGE_ACK };

static bool endless(const struct run *r)
{
    return r->load == MODE_e2e || r->load == MODE_verify;
}

/* How long nothing new may come, at the end, before what is missing counts as lost. In verify a
 * lease may have to end first; and what was acknowledged gets the time to come again, which it must
 * not. */
static int64_t quiet_ns(const struct run *r)
{
    return r->oracle ? r->o->lease + 2 * NS_PER_S : 5 * NS_PER_S;
}

static bool drained(struct link *l)
{
    struct run *r = l->worker->run;
    if (atomic_load(&r->senders) > 0)
        return false;
    bool all = atomic_load(&r->taken) >= atomic_load(&r->sent);
    bool quiet = l->worker->now_ns - atomic_load(&r->progress_ns) > quiet_ns(r);
    return quiet || (all && l->last_empty && !r->oracle);
}

static uint32_t claim(struct link *l)
{
    struct run *r = l->worker->run;
    uint32_t most = r->load == MODE_consume ? (uint32_t)r->o->batch : POP_COUNT;
    if (endless(r))
        return drained(l) ? 0 : most;
    return run_claim(r, most, pace_is_open(&l->pace) ? pace_due(&l->pace) : l->worker->now_ns);
}

static void ask_pop(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    struct ask a = {.kind = ASK_POP,
                    .topic = r->topic,
                    .group = r->group,
                    .count = op->claimed,
                    .wait_ms = POP_WAIT_MS,
                    .lease_ms = r->o->lease / NS_PER_MS};
    op->stage = STAGE_POP;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

static void start(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    if (r->oracle && !op->seen && !(op->seen = calloc(COUNT_MAX, sizeof *op->seen))) {
        run_fail(r, "no memory for another consumer");
        return;
    }
    ask_pop(l, op);
}

/* What was claimed and not got: others may take it. */
static void give_back(struct link *l, struct op *op, uint32_t n)
{
    struct run *r = l->worker->run;
    op->claimed -= n;
    if (endless(r) || !run_measures(r, op->intended_ns) || n == 0)
        return;
    run_unclaim(r, n);
    l->exhausted = false;
}

struct taking {
    struct link *link;
    struct op *op;
    uint32_t fresh; /* for the first time, as far as known */
};

/* verify: is it whole, and is it the first time? */
static bool judge(struct taking *t, const struct body_head *head, const struct message_id *id,
                  bool whole)
{
    struct run *r = t->link->worker->run;
    if (!whole)
        run_trouble(t->link->worker, SLICE_LIT("DAMAGED a message came with a wrong checksum"));
    t->op->seen[t->op->n] = (struct seen){head->key, whole ? head->seq : UINT64_MAX};
    return oracle_took(r->oracle, head->key, head->seq, id->queue, id->offset, whole);
}

/* e2e and verify: a message of this run arrived. */
static void arrived(struct taking *t, const struct body_head *head, size_t bytes)
{
    struct worker *w = t->link->worker;
    t->fresh++;
    if (!run_measures(w->run, head->stamp_ns))
        return;
    meter_time(&w->meter, LAT_e2e, head->stamp_ns, w->now_ns, 1);
    METER_COUNT(&w->meter, messages, 1);
    METER_COUNT(&w->meter, bytes, bytes);
}

/* One message of a POP's answer. Of another run's only the receipt is of interest to e2e and
 * verify. */
static void take(void *arg, const struct taken *m)
{
    struct taking *t = arg;
    struct worker *w = t->link->worker;
    struct op *op = t->op;
    struct body_head head = {0};
    struct message_id id = {.attempt = 1};
    assert(op->n < COUNT_MAX);
    bool ours = endless(w->run) && body_read(m->body, &head) && head.run == w->run->id;
    if (!w->run->dialect->redis && !text_receipt(m->receipt, &id))
        run_trouble(w, SLICE_LIT("TESTER a POP brought something that has no receipt"));
    if (w->run->oracle)
        op->seen[op->n] = (struct seen){0, UINT64_MAX};
    bool first =
        ours && w->run->oracle ? judge(t, &head, &id, body_whole(m->body)) : id.attempt == 1;
    if (ours && first)
        arrived(t, &head, m->body.len);
    else if (first && !endless(w->run))
        t->fresh++;
    if (id.attempt > 1)
        METER_COUNT(&w->meter, redelivered, 1);
    w->receipts[op->n++] = m->receipt;
    op->bytes += m->body.len;
}

static void ask_ack(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    struct ask a = {.kind = ASK_ACK,
                    .topic = r->topic,
                    .group = r->group,
                    .receipts = l->worker->receipts,
                    .n_receipts = op->n};
    op->stage = STAGE_ACK;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

/* The receipts lie in the answer, which is gone when the work is done: they are copied. */
static void work(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    int64_t for_ns = 0;
    for (uint32_t i = 0; i < op->n; i++)
        for_ns += (int64_t)dist_draw(&w->run->o->work, &l->chance);
    if (for_ns == 0) {
        ask_ack(l, op);
        return;
    }
    buf_reset(&op->receipts, 1 << 20);
    for (uint32_t i = 0; i < op->n; i++)
        buf_put_sized(&op->receipts, w->receipts[i]);
    if (op->receipts.failed)
        run_fail(w->run, "no memory to keep the receipts of a batch");
    op->stage = STAGE_WORK;
    op_pause(l, op, for_ns);
}

static void popped(struct link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    struct taking t = {.link = l, .op = op};
    op->n = 0;
    op->bytes = 0;
    if (!w->run->dialect->messages(a->result, take, &t)) {
        run_fail(r, "the answer to a POP has another shape than expected");
        return;
    }
    l->last_empty = op->n == 0;
    give_back(l, op, op->claimed > op->n ? op->claimed - op->n : 0);
    if (t.fresh > 0) {
        atomic_fetch_add_explicit(&r->taken, t.fresh, memory_order_relaxed);
        METER_COUNT(&w->meter, taken, t.fresh);
    }
    /* Without a number to reach, a queue that stays empty is no standstill. */
    if (t.fresh > 0 || (r->load == MODE_consume && r->o->messages == 0))
        atomic_store_explicit(&r->progress_ns, w->now_ns, memory_order_relaxed);
    if (op->n == 0) {
        METER_COUNT(&w->meter, empty, 1);
        op_done(l, op);
        return;
    }
    if (!endless(r) && run_measures(r, op->intended_ns))
        meter_time(&w->meter, LAT_pop, op->intended_ns, w->now_ns, 1);
    work(l, op);
}

static void acked(struct link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    int64_t n = 0;
    if (!r->dialect->number(a->result, &n) || n > op->n)
        run_trouble(w, SLICE_LIT("TESTER an ACK was answered by something that is no count"));
    if (n < op->n)
        METER_COUNT(&w->meter, stale, op->n - (uint64_t)n);
    for (uint32_t i = 0; r->oracle && n == op->n && i < op->n; i++) {
        if (op->seen[i].seq != UINT64_MAX)
            oracle_acked(r->oracle, op->seen[i].key, op->seen[i].seq);
    }
    if (run_measures(r, op->intended_ns)) {
        meter_time(&w->meter, LAT_ack, op->asked_ns, w->now_ns, 1);
        METER_COUNT(&w->meter, operations, 1);
        if (!endless(r)) {
            METER_COUNT(&w->meter, messages, (uint64_t)n);
            METER_COUNT(&w->meter, bytes, op->bytes);
        }
    }
    give_back(l, op, op->claimed > (uint64_t)n ? op->claimed - (uint32_t)n : 0);
    op_done(l, op);
}

static void answered(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    (void)part;
    if (a->kind == ANSWER_DONE && op->stage == STAGE_POP) {
        popped(l, op, a);
    } else if (a->kind == ANSWER_DONE) {
        acked(l, op, a);
    } else if (!a->busy) {
        run_trouble(l->worker, a->text);
        op->failed = true;
        op_pause(l, op, PAUSE_ERROR_NS);
    } else {
        METER_COUNT(&l->worker->meter, retries, 1);
        op_pause(l, op, PAUSE_BUSY_NS);
    }
}

/* After the work, or after a refusal. A POP that was refused is asked again by the next op; an ACK
 * that was is given up where that was final, since its receipts are gone: the lease ends, they come
 * again. */
static void remind(struct link *l, struct op *op)
{
    if (op->stage != STAGE_WORK || op->again) {
        give_back(l, op, op->claimed);
        op_done(l, op);
        return;
    }
    struct cursor c = cursor_of(buf_slice(&op->receipts));
    for (uint32_t i = 0; i < op->n; i++)
        l->worker->receipts[i] = cursor_sized(&c);
    assert(!c.bad);
    ask_ack(l, op);
}

/* What was leased comes again when the lease ends. */
static void broken(struct link *l, struct op *op)
{
    op->left = 0;
    if (op->reminded) {
        op->again = true;
        return;
    }
    give_back(l, op, op->claimed);
    op_done(l, op);
}

const struct role role_consumer = {
    .name = "consumer",
    .claim = claim,
    .start = start,
    .answered = answered,
    .remind = remind,
    .broken = broken,
};
