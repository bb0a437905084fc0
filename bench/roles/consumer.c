/*
 * consumer.c: an op is one POP, the work on what it brought, and its ACK.
 *
 *   asked POP ─► nothing: done
 *             └► messages ─► (--work for each) ─► asked ACK ─► done
 *
 * In consume a link stops when the budget is used up; in e2e and verify when the producers have
 * ended, all their messages have been received, and a POP has then found the queue empty.
 */
#include "bench/roles/consumer.h"

#include <assert.h>
#include <stdlib.h>

#include "bench/load/link.h"
#include "bench/roles/oracle.h"
#include "protocol/base/text.h"
#include "protocol/limits.h"

#define POP_COUNT 100 /* messages a POP asks for where --batch is the producers' */
#define PAUSE_ERROR_NS (100 * NS_PER_MS) /* before a consumer that was refused asks again */

enum consumer_stage { STAGE_POP, STAGE_WORK, STAGE_ACK };

static bool consumer_endless(const struct load *load)
{
    return load->mode == MODE_e2e || load->mode == MODE_verify;
}

/* At the end: how long no new message may arrive before the missing ones count as lost. In verify a lease may have
 * to end first, and a message that was acknowledged must have the time to be delivered again, which would be a
 * fault. */
static int64_t consumer_quiet_ns(const struct load *load)
{
    return load->oracle ? load->o->lease + 2 * NS_PER_S : 5 * NS_PER_S;
}

static bool consumer_drained(struct load_link *l)
{
    struct load *load = l->worker->load;
    if (atomic_load(&load->senders) > 0)
        return false;
    bool all = atomic_load(&load->taken) >= atomic_load(&load->sent);
    bool quiet = l->worker->now_ns - atomic_load(&load->progress_ns) > consumer_quiet_ns(load);
    return quiet || (all && l->last_empty && !load->oracle);
}

static uint32_t consumer_claim(struct load_link *l, int64_t intended_ns)
{
    struct load *load = l->worker->load;
    uint32_t most = load->mode == MODE_consume ? (uint32_t)load->o->batch : POP_COUNT;
    if (consumer_endless(load))
        return consumer_drained(l) ? 0 : most;
    return load_claim(load, most, intended_ns);
}

static void consumer_ask_pop(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    struct wire_ask a = {.kind = ASK_POP,
                    .topic = load->topic,
                    .group = load->group,
                    .count = op->claimed,
                    .wait_ms = POP_WAIT_MS,
                    .lease_ms = load->o->lease / NS_PER_MS};
    op->stage = STAGE_POP;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

static void consumer_start(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    if (load->oracle && !op->seen && !(op->seen = calloc(COUNT_MAX, sizeof *op->seen))) {
        load_fail(load, "no memory for another consumer");
        return;
    }
    consumer_ask_pop(l, op);
}

/* Returns the part of its claim that the op did not receive, so that other links may claim it. */
static void consumer_give_back(struct load_link *l, struct op *op, uint32_t n)
{
    struct load *load = l->worker->load;
    op->claimed -= n;
    if (consumer_endless(load) || !load_measures(load, op->intended_ns) || n == 0)
        return;
    load_unclaim(load, n);
    l->phase = LINK_STARTS;
}

struct consumer_taking {
    struct load_link *link;
    struct op *op;
    uint32_t fresh; /* received for the first time, as far as the tester knows */
};

/* verify: checks the checksum. True: the message is received for the first time. */
static bool consumer_judge(struct consumer_taking *t, const struct body_head *head, const struct message_id *id,
                           bool whole)
{
    struct load *load = t->link->worker->load;
    if (!whole)
        worker_trouble(t->link->worker, SLICE_LIT("DAMAGED a message came with a wrong checksum"));
    t->op->seen[t->op->n] = (struct seen){head->key, whole ? head->seq : UINT64_MAX};
    return oracle_took(load->oracle, head->key, head->seq, id->queue, id->offset, whole);
}

/* e2e and verify: a message of this run arrived. */
static void consumer_arrived(struct consumer_taking *t, const struct body_head *head, size_t bytes)
{
    struct worker *w = t->link->worker;
    t->fresh++;
    if (!load_measures(w->load, head->stamp_ns))
        return;
    meter_time(&w->meter, LAT_e2e, head->stamp_ns, w->now_ns, 1);
    METER_COUNT(&w->meter, messages, 1);
    METER_COUNT(&w->meter, bytes, bytes);
}

/* Takes one message of a POP's reply. In e2e and verify, messages of other runs are only acknowledged. */
static void consumer_take_message(void *arg, const struct taken *m)
{
    struct consumer_taking *t = arg;
    struct worker *w = t->link->worker;
    struct op *op = t->op;
    struct body_head head = {0};
    struct message_id id = {.attempt = 1};
    assert(op->n < COUNT_MAX);
    bool ours = consumer_endless(w->load) && body_read(m->body, &head) && head.run == w->load->id;
    if (!w->load->dialect->redis && !text_receipt(m->receipt, &id))
        worker_trouble(w, SLICE_LIT("TESTER a POP returned a message without a receipt"));
    if (w->load->oracle)
        op->seen[op->n] = (struct seen){0, UINT64_MAX};
    bool first =
        ours && w->load->oracle ? consumer_judge(t, &head, &id, body_whole(m->body)) : id.attempt == 1;
    if (ours && first)
        consumer_arrived(t, &head, m->body.len);
    else if (first && !consumer_endless(w->load))
        t->fresh++;
    if (id.attempt > 1)
        METER_COUNT(&w->meter, redelivered, 1);
    w->receipts[op->n++] = m->receipt;
    op->bytes += m->body.len;
}

static void consumer_ask_ack(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    struct wire_ask a = {.kind = ASK_ACK,
                    .topic = load->topic,
                    .group = load->group,
                    .receipts = l->worker->receipts,
                    .n_receipts = op->n};
    op->stage = STAGE_ACK;
    op->left = 1;
    op->asked_ns = l->worker->now_ns;
    link_ask(l, op, 0, &a);
}

/* The reply with the receipts is gone when the work is done, so they are copied. */
static void consumer_work(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    int64_t for_ns = 0;
    for (uint32_t i = 0; i < op->n; i++)
        for_ns += (int64_t)dist_draw(&w->load->o->work, &l->chance);
    if (for_ns == 0) {
        consumer_ask_ack(l, op);
        return;
    }
    buf_reset(&op->receipts, 1 << 20);
    for (uint32_t i = 0; i < op->n; i++)
        buf_put_sized(&op->receipts, w->receipts[i]);
    if (op->receipts.failed)
        load_fail(w->load, "no memory to keep the receipts of a batch");
    op->stage = STAGE_WORK;
    link_pause(l, op, for_ns);
}

static void consumer_popped(struct load_link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    struct consumer_taking t = {.link = l, .op = op};
    op->n = 0;
    op->bytes = 0;
    if (!w->load->dialect->messages(a->result, consumer_take_message, &t)) {
        load_fail(load, "the reply to a POP cannot be read");
        return;
    }
    l->last_empty = op->n == 0;
    consumer_give_back(l, op, op->claimed > op->n ? op->claimed - op->n : 0);
    if (t.fresh > 0) {
        atomic_fetch_add_explicit(&load->taken, t.fresh, memory_order_relaxed);
        METER_COUNT(&w->meter, taken, t.fresh);
    }
    /* If there is no number of messages to reach, an empty queue is not a lack of progress. */
    if (t.fresh > 0 || (load->mode == MODE_consume && load->o->messages == 0))
        atomic_store_explicit(&load->progress_ns, w->now_ns, memory_order_relaxed);
    if (op->n == 0) {
        METER_COUNT(&w->meter, empty, 1);
        link_done(l, op);
        return;
    }
    if (!consumer_endless(load) && load_measures(load, op->intended_ns))
        meter_time(&w->meter, LAT_pop, op->intended_ns, w->now_ns, 1);
    consumer_work(l, op);
}

static void consumer_acked(struct load_link *l, struct op *op, const struct answer *a)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    int64_t n = 0;
    if (!load->dialect->number(a->result, &n) || n > op->n)
        worker_trouble(w, SLICE_LIT("TESTER the reply to an ACK is not a count of its messages"));
    if (n < op->n)
        METER_COUNT(&w->meter, stale, op->n - (uint64_t)n);
    for (uint32_t i = 0; load->oracle && n == op->n && i < op->n; i++) {
        if (op->seen[i].seq != UINT64_MAX)
            oracle_acked(load->oracle, op->seen[i].key, op->seen[i].seq);
    }
    if (load_measures(load, op->intended_ns)) {
        meter_time(&w->meter, LAT_ack, op->asked_ns, w->now_ns, 1);
        METER_COUNT(&w->meter, operations, 1);
        if (!consumer_endless(load)) {
            METER_COUNT(&w->meter, messages, (uint64_t)n);
            METER_COUNT(&w->meter, bytes, op->bytes);
        }
    }
    consumer_give_back(l, op, op->claimed > (uint64_t)n ? op->claimed - (uint32_t)n : 0);
    link_done(l, op);
}

static void consumer_answered(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    (void)part;
    if (a->kind == ANSWER_DONE && op->stage == STAGE_POP) {
        consumer_popped(l, op, a);
    } else if (a->kind == ANSWER_DONE) {
        consumer_acked(l, op, a);
    } else if (!a->busy) {
        worker_trouble(l->worker, a->text);
        op->failed = true;
        link_pause(l, op, PAUSE_ERROR_NS);
    } else {
        METER_COUNT(&l->worker->meter, retries, 1);
        link_pause(l, op, PAUSE_BUSY_NS);
    }
}

/* After the work, or after a refusal. A POP that was refused is repeated by the next op. An ACK that was refused is
 * given up, since its receipts are gone: the lease ends, and the messages are redelivered. */
static void consumer_remind(struct load_link *l, struct op *op)
{
    if (op->stage != STAGE_WORK || op->again) {
        consumer_give_back(l, op, op->claimed);
        link_done(l, op);
        return;
    }
    struct cursor c = cursor_of(buf_slice(&op->receipts));
    for (uint32_t i = 0; i < op->n; i++)
        l->worker->receipts[i] = cursor_sized(&c);
    assert(!c.bad);
    consumer_ask_ack(l, op);
}

/* The messages that were leased are redelivered when the lease ends. */
static void consumer_broken(struct load_link *l, struct op *op)
{
    op->left = 0;
    if (reminder_set(&op->pause)) {
        op->again = true;
        return;
    }
    consumer_give_back(l, op, op->claimed);
    link_done(l, op);
}

const struct role role_consumer = {
    .name = "consumer",
    .parts = 2,
    .claim = consumer_claim,
    .start = consumer_start,
    .answered = consumer_answered,
    .remind = consumer_remind,
    .broken = consumer_broken,
};
