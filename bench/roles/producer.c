/*
 * producer.c: an op is one batch: a record (PRODUCE), MSEND, or as many SENDs in one write where each message has
 * something of its own (a key, a DEDUP id), or where the dialect has no MSEND.
 *
 *   send, e2e   what is under way when a connection breaks counts as an error; the next op is
 *               another message. With --dedup it is sent again with the same ids
 *   verify      it is sent again with the same DEDUP ids until it is answered; of one key only one
 *               op is under way, so that a repeat cannot overtake. A batch is of one key, so that it
 *               can be a record, which goes to the queue of that key
 *
 * A record has one DEDUP id, that of its first message: no two ops begin with the same one.
 */
#include "bench/roles/producer.h"

#include <stdio.h>

#include "bench/base/units.h"
#include "protocol/base/text.h"
#include "protocol/record/message.h"

#define ORDER_BYTES 16
#define DEDUP_BYTES 48

/* Size and key follow from the message's place, so that a repeat is the same message. */
struct plan {
    uint64_t size;
    char order[ORDER_BYTES];
    int order_len;
};

static struct plan plan_of(const struct run *r, uint32_t key, uint64_t seq)
{
    struct chance c = chance_from(r->o->seed ^ seq << 20, key);
    struct plan p = {.size = dist_draw(&r->o->size, &c)};
    if (r->oracle)
        p.order_len = snprintf(p.order, sizeof p.order, "k%u", key);
    else if (r->o->keys.kind != KEYS_NONE)
        p.order_len = snprintf(p.order, sizeof p.order, "k%u", keys_draw(&r->keys, &c));
    return p;
}

/* Body i of the worker's space; its slice is in w->bodies. */
static void make_body(struct link *l, const struct op *op, uint32_t i, uint64_t size)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    uint8_t *at = w->space + i * r->pool.most;
    struct body_head head = {r->id, op->key, op->seq + i, op->intended_ns};
    w->bodies[i] = slice_of(at, (size_t)size);
    if (w->filled)
        body_patch(&head, at, (size_t)size);
    else
        body_make(&r->pool, &head, r->oracle != NULL, at, (size_t)size);
}

/* The bodies as a record that the broker stores as it comes; order: the key of all of them, or empty. */
static struct slice make_record(struct worker *w, uint32_t n, struct slice order)
{
    struct message m = {.fields = order.len > 0 ? MSG_ORDER : 0, .order = order};
    struct record_header h = {.count = n};
    buf_reset(&w->record, BATCH_BYTES_MAX);
    buf_reset(&w->starts, BATCH_BYTES_MAX);
    record_begin(&w->record);
    for (uint32_t i = 0; i < n; i++) {
        m.seq = i;
        m.body = w->bodies[i];
        record_add(&w->record, &w->starts, &m, 0);
    }
    record_end(&w->record, &w->starts, &h);
    if (w->record.failed || w->starts.failed)
        run_fail(w->run, "no memory to make a batch");
    return buf_slice(&w->record);
}

/* The DEDUP id of a message of the op, or of the record that begins with it; empty: there are none. */
static struct slice dedup_of(const struct run *r, const struct op *op, uint32_t i, char *out)
{
    if (!r->o->dedup && !r->oracle)
        return slice_of(NULL, 0);
    int len = snprintf(out, DEDUP_BYTES, "%x-%x-%llx", r->id, op->key,
                       (unsigned long long)(op->seq + i));
    return slice_of(out, (size_t)len);
}

/* The bodies as one record. */
static void into_record(struct worker *w, const struct op *op, const struct plan *plan, char *dedup,
                        struct ask *a)
{
    struct run *r = w->run;
    struct slice order = slice_of(plan->order, r->oracle ? (size_t)plan->order_len : 0);
    a->kind = ASK_PRODUCE;
    a->batch = make_record(w, op->n, order);
    a->dedup = dedup_of(r, op, 0, dedup);
    a->has_queue = order.len > 0;
    if (a->has_queue)
        a->queue = (uint32_t)(text_hash(order) % r->order_queues);
}

static void ask_batch(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct plan p = {0};
    char dedup[DEDUP_BYTES];
    struct ask a = {
        .kind = ASK_MSEND, .topic = w->run->topic, .bodies = w->bodies, .n_bodies = op->n};
    for (uint32_t i = 0; i < op->n; i++) {
        p = plan_of(w->run, op->key, op->seq + i);
        make_body(l, op, i, p.size);
        op->bytes += p.size;
    }
    if (w->run->produce)
        into_record(w, op, &p, dedup, &a);
    op->left = 1;
    link_ask(l, op, 0, &a);
}

static void ask_one_by_one(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    for (uint32_t i = 0; i < op->n; i++) {
        struct plan p = plan_of(r, op->key, op->seq + i);
        char dedup[DEDUP_BYTES];
        struct ask a = {
            .kind = ASK_SEND, .topic = r->topic, .order = slice_of(p.order, (size_t)p.order_len)};
        a.dedup = dedup_of(r, op, i, dedup);
        make_body(l, op, i, p.size);
        op->bytes += p.size;
        a.body = w->bodies[i];
        link_ask(l, op, i, &a);
    }
    op->left = op->n;
}

static void ask(struct link *l, struct op *op)
{
    op->again = op->failed = false;
    op->bytes = 0;
    op->asked_ns = l->worker->now_ns;
    if (l->worker->run->one_by_one || op->n == 1)
        ask_one_by_one(l, op);
    else
        ask_batch(l, op);
}

static uint32_t claim(struct link *l)
{
    int64_t intended = pace_is_open(&l->pace) ? pace_due(&l->pace) : l->worker->now_ns;
    return run_claim(l->worker->run, (uint32_t)l->worker->run->o->batch, intended);
}

/* The next of the link's own keys that has nothing under way. There are at least as many as ops. */
static uint32_t take_key(struct link *l)
{
    while (l->key_taken[l->next_key])
        l->next_key = (l->next_key + 1) % l->n_keys;
    uint32_t k = l->next_key;
    l->key_taken[k] = 1;
    l->next_key = (k + 1) % l->n_keys;
    return l->index + k * (uint32_t)l->worker->run->o->connections;
}

static void start(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    atomic_fetch_add_explicit(&r->started, op->n, memory_order_relaxed);
    if (!r->oracle) {
        op->key = l->index;
        op->seq = l->seq;
        l->seq += op->n;
    } else {
        op->key = take_key(l);
        if (!oracle_send(r->oracle, op->key, op->n, &op->seq)) {
            run_fail(
                r, "no memory to remember more messages: fewer --messages or a shorter --duration");
            return;
        }
    }
    ask(l, op);
}

static void finish(struct link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    atomic_store_explicit(&r->progress_ns, w->now_ns, memory_order_relaxed);
    if (!op->failed) {
        atomic_fetch_add_explicit(&r->sent, op->n, memory_order_relaxed);
        METER_COUNT(&w->meter, sent, op->n);
    }
    if (!op->failed && run_measures(r, op->intended_ns)) {
        meter_time(&w->meter, LAT_send, op->intended_ns, w->now_ns, op->n);
        if (r->load == MODE_send) {
            METER_COUNT(&w->meter, messages, op->n);
            METER_COUNT(&w->meter, bytes, op->bytes);
            METER_COUNT(&w->meter, operations, 1);
        }
    }
    if (r->oracle)
        l->key_taken[(op->key - l->index) / (uint32_t)r->o->connections] = 0;
    op_done(l, op);
}

/* verify: where the record lies. */
static void note_place(struct link *l, struct op *op, const struct answer *a)
{
    struct run *r = l->worker->run;
    struct place p;
    if (!l->speech.dialect->place(a->result, &p) || p.count != op->n) {
        run_trouble(l->worker,
                    SLICE_LIT("TESTER a batch was answered by something that is not its place"));
        return;
    }
    for (uint32_t i = 0; i < op->n; i++)
        oracle_answered(r->oracle, op->key, op->seq + i, p.queue, p.offset + i);
}

static void note_id(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct message_id id;
    struct slice text;
    struct run *r = l->worker->run;
    if (l->speech.dialect->bytes(a->result, &text) && text_id(text, &id))
        oracle_answered(r->oracle, op->key, op->seq + part, id.queue, id.offset);
    else
        run_trouble(l->worker,
                    SLICE_LIT("TESTER a SEND was answered by something that is no message id"));
}

static void answered(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct run *r = l->worker->run;
    bool whole = op->n == 1 || !r->one_by_one; /* one request: all of it is refused, or nothing */
    if (a->kind == ANSWER_DONE) {
        if (r->oracle && whole && op->n > 1)
            note_place(l, op, a);
        else if (r->oracle)
            note_id(l, op, part, a);
    } else if (a->busy) {
        op->again = true;
    } else {
        op->failed = true;
        run_trouble(l->worker, a->text);
    }
    if (op->left > 0)
        return;
    /* Without DEDUP ids a repeat would store again what of the batch went well. */
    if (op->again && !whole && !r->oracle && !r->o->dedup) {
        op->failed = true;
        run_trouble(l->worker, SLICE_LIT("BUSY a part of a batch was refused"));
        op->again = false;
    }
    if (!op->again) {
        finish(l, op);
        return;
    }
    if (r->oracle && !whole)
        oracle_excuse(r->oracle, op->key, op->seq, op->n);
    METER_COUNT(&l->worker->meter, retries, 1);
    op_pause(l, op, PAUSE_BUSY_NS);
}

static void remind(struct link *l, struct op *op)
{
    ask(l, op);
}

static void broken(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    op->left = 0;
    if (r->oracle || r->o->dedup) {
        op->again = true;
        METER_COUNT(&l->worker->meter, retries, 1);
        return;
    }
    op->failed = true;
    run_trouble(l->worker, SLICE_LIT("BROKEN the connection broke before a send was answered"));
    finish(l, op);
}

const struct role role_producer = {
    .name = "producer",
    .sends = true,
    .paced = true,
    .claim = claim,
    .start = start,
    .answered = answered,
    .remind = remind,
    .broken = broken,
};
