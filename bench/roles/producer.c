/*
 * producer.c: an op is one batch: a record (PRODUCE), an MSEND, or several SENDs in one write, if each message has
 * a key or a DEDUP id of its own or the dialect has no MSEND.
 *
 *   send, e2e   a batch that is in flight when the connection breaks counts as an error, and the next op sends
 *               another one. With --dedup it is sent again with the same ids
 *   verify      a batch is sent again with the same DEDUP ids until it is answered. Only one op of a key is in
 *               flight, so that a repeat cannot overtake another batch of the key. All messages of a batch have
 *               the same key, so that it can be a record, which goes to the queue of that key
 *
 * The DEDUP id of a record is that of its first message: no two ops begin with the same message.
 */
#include "bench/roles/producer.h"

#include <stdio.h>

#include "bench/load/link.h"
#include "bench/roles/label.h"
#include "bench/roles/oracle.h"
#include "protocol/base/text.h"
#include "protocol/record/record.h"

#define ORDER_BYTES 16
#define DEDUP_BYTES 48

/* The size and key of a message are computed from its place in the sequence, so that a repeat is the same message. */
struct producer_plan {
    uint64_t size;
    char order[ORDER_BYTES];
    int order_len;
    struct label label;
};

static struct producer_plan producer_plan(const struct load *load, uint32_t key, uint64_t seq)
{
    struct chance c = chance_from(load->o->seed ^ seq << 20, key);
    struct producer_plan p = {.size = dist_draw(&load->o->size, &c)};
    if (load->oracle)
        p.order_len = snprintf(p.order, sizeof p.order, "k%u", key);
    else if (load->o->keys.kind != KEYS_NONE)
        p.order_len = snprintf(p.order, sizeof p.order, "k%u", keys_draw(&load->keys, &c));
    label_make(&p.label, load->o, seq, &c);
    return p;
}

/* Makes body i in the worker's space, and its slice in w->bodies. */
static void producer_body(struct load_link *l, const struct op *op, uint32_t i, uint64_t size)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    uint8_t *at = w->space + i * load->pool.most;
    struct body_head head = {load->id, op->key, op->seq + i, op->intended_ns};
    w->bodies[i] = slice_of(at, (size_t)size);
    if (w->filled)
        body_patch(&head, at, (size_t)size);
    else
        body_make(&load->pool, &head, load->oracle != NULL, at, (size_t)size);
}

/* Makes a record of the op's bodies, which the broker stores as it is. order: the key of all of them, or empty. */
static struct slice producer_record(struct worker *w, const struct op *op, struct slice order)
{
    uint32_t n = op->n;
    struct message m = {.fields = order.len > 0 ? MSG_ORDER : 0, .order = order};
    struct record_header h = {.count = n};
    struct label label;
    struct chance c = chance_from(w->load->o->seed, 0); /* nothing is drawn: a record has no priorities */
    buf_reset(&w->record, BATCH_BYTES_MAX);
    buf_reset(&w->starts, BATCH_BYTES_MAX);
    record_begin(&w->record);
    for (uint32_t i = 0; i < n; i++) {
        m.seq = i;
        m.body = w->bodies[i];
        if (w->load->o->tags > 0) {
            label_make(&label, w->load->o, op->seq + i, &c);
            label_message(&label, &m);
        }
        record_add(&w->record, &w->starts, &m, 0);
    }
    record_end(&w->record, &w->starts, &h);
    if (w->record.failed || w->starts.failed)
        load_fail(w->load, "no memory to make a batch");
    return buf_slice(&w->record);
}

/* The DEDUP id of message i of the op, or of the record that begins with it. Empty: no ids are used. */
static struct slice producer_dedup(const struct load *load, const struct op *op, uint32_t i, char *out)
{
    if (!load->o->dedup && !load->oracle)
        return slice_of(NULL, 0);
    int len = snprintf(out, DEDUP_BYTES, "%x-%x-%llx", load->id, op->key,
                       (unsigned long long)(op->seq + i));
    return slice_of(out, (size_t)len);
}

/* Makes the request: the bodies as one record. */
static void producer_ask_record(struct worker *w, const struct op *op, const struct producer_plan *plan, char *dedup,
                                struct wire_ask *a)
{
    struct load *load = w->load;
    struct slice order = slice_of(plan->order, load->oracle ? (size_t)plan->order_len : 0);
    a->kind = ASK_PRODUCE;
    a->batch = producer_record(w, op, order);
    a->dedup = producer_dedup(load, op, 0, dedup);
    a->has_queue = order.len > 0;
    if (a->has_queue)
        a->queue = (uint32_t)(text_hash(order) % load->order_queues);
}

static void producer_ask_batch(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct producer_plan p = {0};
    char dedup[DEDUP_BYTES];
    struct wire_ask a = {
        .kind = ASK_MSEND, .topic = w->load->topic, .bodies = w->bodies, .n_bodies = op->n};
    for (uint32_t i = 0; i < op->n; i++) {
        p = producer_plan(w->load, op->key, op->seq + i);
        producer_body(l, op, i, p.size);
        op->bytes += p.size;
    }
    if (w->load->produce)
        producer_ask_record(w, op, &p, dedup, &a);
    op->left = 1;
    link_ask(l, op, 0, &a);
}

static void producer_ask_one_by_one(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    for (uint32_t i = 0; i < op->n; i++) {
        struct producer_plan p = producer_plan(load, op->key, op->seq + i);
        char dedup[DEDUP_BYTES];
        struct wire_ask a = {
            .kind = ASK_SEND, .topic = load->topic, .order = slice_of(p.order, (size_t)p.order_len)};
        a.dedup = producer_dedup(load, op, i, dedup);
        label_ask(&p.label, &a);
        producer_body(l, op, i, p.size);
        op->bytes += p.size;
        a.body = w->bodies[i];
        link_ask(l, op, i, &a);
    }
    op->left = op->n;
}

static void producer_ask(struct load_link *l, struct op *op)
{
    op->again = op->failed = false;
    op->bytes = 0;
    op->asked_ns = l->worker->now_ns;
    if (l->worker->load->one_by_one || op->n == 1)
        producer_ask_one_by_one(l, op);
    else
        producer_ask_batch(l, op);
}

/* The next of the link's keys that has no op in flight. There is one: a link has at least as many keys as ops. */
static uint32_t producer_take_key(struct load_link *l)
{
    while (l->key_taken[l->next_key])
        l->next_key = (l->next_key + 1) % l->n_keys;
    uint32_t k = l->next_key;
    l->key_taken[k] = 1;
    l->next_key = (k + 1) % l->n_keys;
    return l->index + k * (uint32_t)l->worker->load->o->connections;
}

static void producer_start(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    atomic_fetch_add_explicit(&load->started, op->n, memory_order_relaxed);
    if (!load->oracle) {
        op->key = l->index;
        op->seq = l->seq;
        l->seq += op->n;
    } else {
        op->key = producer_take_key(l);
        if (!oracle_send(load->oracle, op->key, op->n, &op->seq)) {
            load_fail(
                load, "no memory to remember more messages: lower --messages or --duration");
            return;
        }
    }
    producer_ask(l, op);
}

static void producer_finish(struct load_link *l, struct op *op)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    atomic_store_explicit(&load->progress_ns, w->now_ns, memory_order_relaxed);
    if (!op->failed) {
        atomic_fetch_add_explicit(&load->sent, op->n, memory_order_relaxed);
        METER_COUNT(&w->meter, sent, op->n);
    }
    if (!op->failed && load_measures(load, op->intended_ns)) {
        meter_time(&w->meter, LAT_send, op->intended_ns, w->now_ns, op->n);
        if (load->mode == MODE_send) {
            METER_COUNT(&w->meter, messages, op->n);
            METER_COUNT(&w->meter, bytes, op->bytes);
            METER_COUNT(&w->meter, operations, 1);
        }
    }
    if (load->oracle)
        l->key_taken[(op->key - l->index) / (uint32_t)load->o->connections] = 0;
    link_done(l, op);
}

/* verify: notes where the record was stored. */
static void producer_note_place(struct load_link *l, struct op *op, const struct answer *a)
{
    struct load *load = l->worker->load;
    struct wire_place p;
    if (!l->speech.dialect->place(a->result, &p) || p.count != op->n) {
        worker_trouble(l->worker,
                       SLICE_LIT("TESTER the reply to a batch does not say where it was stored"));
        return;
    }
    for (uint32_t i = 0; i < op->n; i++)
        oracle_answered(load->oracle, op->key, op->seq + i, p.queue, p.offset + i);
}

static void producer_note_id(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct message_id id;
    struct slice text;
    struct load *load = l->worker->load;
    if (l->speech.dialect->bytes(a->result, &text) && text_id(text, &id))
        oracle_answered(load->oracle, op->key, op->seq + part, id.queue, id.offset);
    else
        worker_trouble(l->worker,
                       SLICE_LIT("TESTER the reply to a SEND is not a message id"));
}

static void producer_answered(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct load *load = l->worker->load;
    bool whole = op->n == 1 || !load->one_by_one; /* it is one request, refused as a whole or not at all */
    if (a->kind == ANSWER_DONE) {
        if (load->oracle && whole && op->n > 1)
            producer_note_place(l, op, a);
        else if (load->oracle)
            producer_note_id(l, op, part, a);
    } else if (a->busy) {
        op->again = true;
    } else {
        op->failed = true;
        worker_trouble(l->worker, a->text);
    }
    if (op->left > 0)
        return;
    /* Without DEDUP ids a repeat would store the messages a second time that were not refused. */
    if (op->again && !whole && !load->oracle && !load->o->dedup) {
        op->failed = true;
        worker_trouble(l->worker, SLICE_LIT("BUSY part of a batch was refused"));
        op->again = false;
    }
    if (!op->again) {
        producer_finish(l, op);
        return;
    }
    if (load->oracle && !whole)
        oracle_excuse(load->oracle, op->key, op->seq, op->n);
    METER_COUNT(&l->worker->meter, retries, 1);
    link_pause(l, op, PAUSE_BUSY_NS);
}

static void producer_broken(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    op->left = 0;
    if (load->oracle || load->o->dedup) {
        op->again = true;
        METER_COUNT(&l->worker->meter, retries, 1);
        return;
    }
    op->failed = true;
    worker_trouble(l->worker, SLICE_LIT("BROKEN the connection broke before a send was answered"));
    producer_finish(l, op);
}

const struct role role_producer = {
    .name = "producer",
    .sends = true,
    .paced = true,
    .claim = link_claim_batch,
    .start = producer_start,
    .answered = producer_answered,
    .remind = producer_ask,
    .broken = producer_broken,
};
