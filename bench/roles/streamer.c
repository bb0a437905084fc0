/*
 * streamer.c: consumes from a stream: the broker pushes records for as much credit as it was given, and the messages
 * are acknowledged in ranges. A link has one op, which lasts until the stream is closed.
 *
 *   asked STREAM ─► id ─► pushed ─► pending (receipts of ranges) ─► heard: ACK in a free slot ─► answered
 *                          ▲  │                                                            │
 *                  CREDIT ─┘  └─ the credit is what was claimed from the budget ──────┘
 *   budget or time used up, no credit outstanding, everything acknowledged ─► CLOSE ─► done
 *
 * What was read from the socket at once is acknowledged with one ACK: an ORDERED group delivers small parts,
 * and an ACK for each of them would cost the broker more than the receipts in it.
 *
 * The tester reads each message as a client would: it compares the record's checksum and finds the body.
 */
#include "bench/roles/streamer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/load/link.h"
#include "protocol/record/record.h"

#define SLOTS 128u /* ACKs that may be in flight */
#define LOOK_NS (100 * NS_PER_MS) /* how often an idle stream looks whether the time is over */
#define PART_OPEN 0u
#define PART_CLOSE (SLOTS + 1u)

/* An ACK in flight. */
struct streamer_ack {
    uint32_t messages;
    int64_t asked_ns;
    uint64_t bytes;
};

enum flow_state { FLOW_OPEN, FLOW_CLOSING, FLOW_CLOSED };

struct flow {
    int64_t stream; /* 0: not open */
    uint32_t ahead; /* messages of the credit that have not been delivered yet */
    uint32_t owed; /* messages that were delivered and for which no new credit was given */
    bool dry; /* no more credit will be given */
    enum flow_state state;
    struct buf pending; /* receipts that no ACK has taken yet, sized */
    uint32_t n_pending, pending_messages;
    uint64_t pending_bytes;
    uint32_t n_free;
    uint8_t free[SLOTS]; /* numbers of free slots */
    struct streamer_ack slots[SLOTS];
};

static void streamer_flow_reset(struct flow *f)
{
    struct buf pending = f->pending;
    *f = (struct flow){.pending = pending};
    buf_reset(&f->pending, 1 << 20);
    for (uint32_t i = 0; i < SLOTS; i++)
        f->free[f->n_free++] = (uint8_t)i;
}

static void streamer_forget(struct load_link *l)
{
    if (l->flow)
        buf_free(&l->flow->pending);
    free(l->flow);
}

static struct op *streamer_only_op(struct load_link *l)
{
    return &l->ops[0];
}

static uint32_t streamer_claim(struct load_link *l, int64_t intended_ns)
{
    struct load *load = l->worker->load;
    const struct options *o = load->o;
    uint64_t share = o->messages ? (o->messages + o->connections - 1) / o->connections : o->credit;
    return load_claim(load, (uint32_t)(share < o->credit ? share : o->credit), intended_ns);
}

static void streamer_look_again(struct load_link *l, struct op *op)
{
    if (!reminder_set(&op->pause))
        link_pause(l, op, LOOK_NS);
}

static void streamer_ask_open(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    struct wire_ask a = {.kind = ASK_STREAM,
                    .topic = load->topic,
                    .group = load->group,
                    .count = op->claimed,
                    .lease_ms = load->o->lease / NS_PER_MS};
    op->again = false;
    op->left++;
    l->flow->ahead = op->claimed;
    link_ask(l, op, PART_OPEN, &a);
}

static void streamer_start(struct load_link *l, struct op *op)
{
    if (!l->flow && (l->flow = calloc(1, sizeof *l->flow)))
        buf_init(&l->flow->pending, 0);
    if (!l->flow) {
        load_fail(l->worker->load, "no memory for another consumer");
        return;
    }
    streamer_flow_reset(l->flow);
    streamer_ask_open(l, op);
    streamer_look_again(l, op);
}

/* ---- the end ---- */

static bool streamer_settled(const struct flow *f)
{
    return f->n_pending == 0 && f->n_free == SLOTS;
}

static void streamer_end_where_due(struct load_link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (f->state == FLOW_CLOSED && streamer_settled(f) && op->left == 0) {
        link_done(l, op);
        return;
    }
    if (!f->dry || f->ahead > 0 || f->state != FLOW_OPEN || f->stream == 0 || !streamer_settled(f))
        return;
    struct wire_ask a = {.kind = ASK_CLOSE, .stream = f->stream};
    f->state = FLOW_CLOSING;
    op->left++;
    link_ask(l, op, PART_CLOSE, &a);
}

/* When the time is over, gives up the messages that were claimed and not delivered. */
static void streamer_stop_where_due(struct load_link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (f->dry || l->worker->now_ns < l->worker->load->stop_ns || f->stream == 0)
        return;
    f->dry = true;
    f->ahead = 0;
    streamer_end_where_due(l, op);
}

/* ---- acknowledging ---- */

static void streamer_ask_ack(struct load_link *l, struct op *op)
{
    struct flow *f = l->flow;
    struct worker *w = l->worker;
    uint32_t number = f->free[--f->n_free], n = 0;
    struct cursor c = cursor_of(buf_slice(&f->pending));
    while (n < f->n_pending)
        w->receipts[n++] = cursor_sized(&c);
    assert(!c.bad && cursor_left(&c) == 0);
    struct wire_ask a = {.kind = ASK_ACK,
                    .topic = w->load->topic,
                    .group = w->load->group,
                    .receipts = w->receipts,
                    .n_receipts = n};
    f->slots[number] = (struct streamer_ack){f->pending_messages, w->now_ns, f->pending_bytes};
    op->left++;
    link_ask(l, op, number + 1, &a);
    buf_reset(&f->pending, 1 << 20);
    f->n_pending = f->pending_messages = 0;
    f->pending_bytes = 0;
}

static void streamer_acked(struct load_link *l, struct streamer_ack *slot, const struct answer *a)
{
    struct worker *w = l->worker;
    struct load *load = w->load;
    int64_t n = 0;
    if (a->kind != ANSWER_DONE)
        worker_trouble(w, a->text);
    else if (!load->dialect->number(a->result, &n) || n > slot->messages)
        worker_trouble(w, SLICE_LIT("TESTER the reply to an ACK is not a count of its messages"));
    if (n < slot->messages) {
        METER_COUNT(&w->meter, stale, slot->messages - (uint64_t)n);
        load_unclaim(load, slot->messages - (uint32_t)n);
        l->flow->dry = false;
    }
    if (load_measures(load, slot->asked_ns)) {
        meter_time(&w->meter, LAT_ack, slot->asked_ns, w->now_ns, 1);
        METER_COUNT(&w->meter, operations, 1);
        METER_COUNT(&w->meter, messages, (uint64_t)n);
        METER_COUNT(&w->meter, bytes, slot->bytes);
    }
}

static void streamer_give_credit(struct load_link *l)
{
    struct flow *f = l->flow;
    struct load *load = l->worker->load;
    bool worth_it = f->ahead == 0 || f->owed >= (load->o->credit + 3) / 4;
    if (f->stream == 0 || f->dry || f->state != FLOW_OPEN || !worth_it)
        return;
    uint32_t n = load_claim(load, f->owed, l->worker->now_ns);
    f->owed -= n;
    f->ahead += n;
    f->dry = n == 0;
    struct wire_ask a = {.kind = ASK_CREDIT, .stream = f->stream, .count = n};
    if (n > 0)
        link_ask(l, streamer_only_op(l), 0, &a);
}

/* While many ACKs are in flight, the next ones name many receipts: else small records, as of ORDERED groups, would use up
 * the slots with one receipt each, and more would be pending than an ACK names. */
static bool streamer_should_ack(const struct flow *f)
{
    bool some = f->n_pending > 0 && f->n_pending <= COUNT_MAX; /* more: the load has been given up */
    return some && (f->n_free > SLOTS / 2 || (f->n_free > 0 && f->n_pending >= COUNT_MAX / 2));
}

static void streamer_go_on(struct load_link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (streamer_should_ack(f))
        streamer_ask_ack(l, op);
    streamer_give_credit(l);
    streamer_end_where_due(l, op);
}

/* ---- what the broker pushes ---- */

static bool streamer_meant(const struct pushed *p, uint32_t i)
{
    return p->bits.len == 0 || (i / 8 < p->bits.len && (p->bits.data[i / 8] >> i % 8 & 1));
}

/* Adds the bytes of a body. In a plain message it follows three small numbers, and the message need not be unpacked. */
static bool streamer_body_bytes(const struct pushed *p, const struct record_header *h, uint32_t i,
                                uint64_t *bytes)
{
    struct cursor c = cursor_of(record_bytes(p->record, h, i));
    if (cursor_varint(&c) == 0) {
        (void)cursor_varint(&c), (void)cursor_varint(&c);
        *bytes += cursor_sized(&c).len;
        return !c.bad && cursor_left(&c) == 0;
    }
    struct message m;
    if (record_message(p->record, h, i, &m) != ST_OK)
        return false;
    *bytes += m.body.len;
    return true;
}

/* "topic:queue:from-to#attempt" */
static void streamer_put_range(struct load_link *l, const struct pushed *p, uint64_t from, uint32_t n)
{
    struct flow *f = l->flow;
    struct slice topic = l->worker->load->topic;
    char text[256];
    int len = snprintf(text, sizeof text, "%.*s:%lld:%llu-%llu#%lld", (int)topic.len,
                       (const char *)topic.data, (long long)p->queue, (unsigned long long)from,
                       (unsigned long long)(from + n - 1), (long long)p->attempt);
    buf_put_sized(&f->pending, slice_of(text, (size_t)len));
    f->n_pending++;
    f->pending_messages += n;
    if (f->n_pending == COUNT_MAX && f->n_free > 0)
        streamer_ask_ack(l, streamer_only_op(l));
}

/* Takes the messages of a record that are for this consumer. False: the record is damaged. */
static bool streamer_take(struct load_link *l, const struct pushed *p, uint32_t *ret_n)
{
    struct record_header h;
    uint32_t run = 0;
    *ret_n = 0;
    if (record_header_read(p->record, &h) != ST_OK || record_checksum(p->record) != h.checksum)
        return false;
    for (uint32_t i = 0; i < h.count; i++) {
        bool in = streamer_meant(p, i);
        if (in && !streamer_body_bytes(p, &h, i, &l->flow->pending_bytes))
            return false;
        run += in;
        *ret_n += in;
        bool ends = run > 0 && (!in || i + 1 == h.count || run == COUNT_MAX);
        if (ends) {
            streamer_put_range(l, p, h.base + i + in - run, run);
            run = 0;
        }
    }
    return !l->flow->pending.failed;
}

static void streamer_brought(struct load_link *l, const struct pushed *p)
{
    struct worker *w = l->worker;
    struct flow *f = l->flow;
    uint32_t n = 0;
    if (!streamer_take(l, p, &n)) {
        load_fail(w->load, "a stream delivered a damaged record");
        return;
    }
    if (f->n_pending > COUNT_MAX) { /* more ranges than one ACK names, and no ACK is free */
        load_fail(w->load, "a stream delivered more small records than ACKs can name: lower --credit");
        return;
    }
    atomic_store_explicit(&w->load->progress_ns, w->now_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->load->taken, n, memory_order_relaxed);
    METER_COUNT(&w->meter, taken, n);
    if (p->attempt > 1)
        METER_COUNT(&w->meter, redelivered, n);
    f->ahead -= n < f->ahead ? n : f->ahead;
    f->owed += n;
}

static void streamer_pushed(struct load_link *l, const struct answer *a)
{
    struct op *op = streamer_only_op(l);
    if (!l->flow || !op->active)
        return;
    if (a->kind == ANSWER_RECORDS) {
        streamer_brought(l, &a->pushed);
        return;
    }
    worker_trouble(l->worker, SLICE_LIT("ENDED the broker ended a stream"));
    l->flow->state = FLOW_CLOSED;
    l->flow->dry = true;
    l->flow->stream = 0;
    streamer_end_where_due(l, op);
}

static void streamer_opened(struct load_link *l, struct op *op, const struct answer *a)
{
    if (a->kind == ANSWER_DONE && l->worker->load->dialect->number(a->result, &l->flow->stream))
        return;
    if (a->busy)
        METER_COUNT(&l->worker->meter, retries, 1);
    else
        worker_trouble(l->worker,
                       a->kind == ANSWER_DONE ? SLICE_LIT("TESTER the reply to STREAM is not a stream id") : a->text);
    op->again = true;
    streamer_look_again(l, op);
}

static void streamer_answered(struct load_link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct flow *f = l->flow;
    if (part == PART_OPEN) {
        streamer_opened(l, op, a);
    } else if (part == PART_CLOSE) {
        f->state = FLOW_CLOSED;
    } else {
        streamer_acked(l, &f->slots[part - 1], a);
        f->free[f->n_free++] = (uint8_t)(part - 1);
    }
}

/* All that came with one read was looked at: one ACK names all of it. */
static void streamer_heard(struct load_link *l)
{
    struct op *op = streamer_only_op(l);
    if (l->flow && op->active)
        streamer_go_on(l, op);
}

/* Looks whether the time is over; asks for the stream again if it was refused. */
static void streamer_remind(struct load_link *l, struct op *op)
{
    struct load *load = l->worker->load;
    if (op->again && l->worker->now_ns >= load->stop_ns) {
        l->flow->state = FLOW_CLOSED;
        l->flow->dry = true;
        streamer_end_where_due(l, op);
        return;
    }
    if (op->again)
        streamer_ask_open(l, op);
    /* If there is no number of messages to reach, an empty queue is not a lack of progress. */
    if (load->o->messages == 0)
        atomic_store_explicit(&load->progress_ns, l->worker->now_ns, memory_order_relaxed);
    streamer_stop_where_due(l, op);
    if (op->active)
        streamer_look_again(l, op);
}

/* The messages that were leased and not acknowledged are redelivered when the lease ends. */
static void streamer_broken(struct load_link *l, struct op *op)
{
    struct flow *f = l->flow;
    uint32_t unacked = f->pending_messages;
    bool taken[SLOTS] = {false};
    for (uint32_t i = 0; i < f->n_free; i++)
        taken[f->free[i]] = true;
    for (uint32_t i = 0; i < SLOTS; i++)
        unacked += taken[i] ? 0 : f->slots[i].messages;
    if (load_measures(l->worker->load, l->worker->now_ns))
        load_unclaim(l->worker->load, f->ahead + unacked);
    l->phase = LINK_STARTS;
    op->left = 0;
    streamer_flow_reset(f);
    link_done(l, op);
}

const struct role role_streamer = {
    .name = "streamer",
    .parts = SLOTS + 2,
    .claim = streamer_claim,
    .start = streamer_start,
    .answered = streamer_answered,
    .remind = streamer_remind,
    .broken = streamer_broken,
    .pushed = streamer_pushed,
    .heard = streamer_heard,
    .forget = streamer_forget,
};
