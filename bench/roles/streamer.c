/*
 * streamer.c: consume from a stream: the broker pushes records as long as it was given credit, and what
 * came is acknowledged in ranges. One op a link, as long as the link takes part.
 *
 *   asked STREAM ─► id ─► pushed ─► pending (receipts of ranges) ─► ACK in a free slot ─► answered
 *                          ▲  │                                                            │
 *                  CREDIT ─┘  └─ what was claimed from the budget is credit, no more ──────┘
 *   budget or time used up, nothing ahead, nothing unacknowledged ─► CLOSE ─► done
 *
 * Each message is looked at as a client would: the record's checksum is compared, and its body found.
 */
#include "bench/roles/streamer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/base/units.h"
#include "protocol/record/message.h"

#define SLOTS STREAM_ACKS
#define LOOK_NS (100 * NS_PER_MS) /* how often an idle stream looks whether the time is over */
#define PART_OPEN 0u
#define PART_CLOSE (SLOTS + 1u)

/* An ACK under way. */
struct slot {
    uint32_t messages;
    int64_t asked_ns;
    uint64_t bytes;
};

struct flow {
    int64_t stream; /* 0: not open */
    uint32_t ahead; /* messages of credit that have not come */
    uint32_t owed; /* messages that came and for which no new credit was given */
    bool dry; /* no more credit will be given */
    bool closing, closed;
    struct buf pending; /* receipts that no ACK has taken yet, sized */
    uint32_t n_pending, pending_messages;
    uint64_t pending_bytes;
    uint32_t n_free;
    uint8_t free[SLOTS]; /* numbers of free slots */
    struct slot slots[SLOTS];
};

static void flow_reset(struct flow *f)
{
    struct buf pending = f->pending;
    *f = (struct flow){.pending = pending};
    buf_reset(&f->pending, 1 << 20);
    for (uint32_t i = 0; i < SLOTS; i++)
        f->free[f->n_free++] = (uint8_t)i;
}

void streamer_free(struct flow *f)
{
    if (f)
        buf_free(&f->pending);
    free(f);
}

static struct op *only_op(struct link *l)
{
    return &l->ops[0];
}

static uint32_t claim(struct link *l)
{
    struct run *r = l->worker->run;
    const struct options *o = r->o;
    uint64_t share = o->messages ? (o->messages + o->connections - 1) / o->connections : o->credit;
    return run_claim(r, (uint32_t)(share < o->credit ? share : o->credit), l->worker->now_ns);
}

static void look_again(struct link *l, struct op *op)
{
    if (!op->reminded)
        op_pause(l, op, LOOK_NS);
}

static void ask_open(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    struct ask a = {.kind = ASK_STREAM,
                    .topic = r->topic,
                    .group = r->group,
                    .count = op->claimed,
                    .lease_ms = r->o->lease / NS_PER_MS};
    op->again = false;
    op->left++;
    l->flow->ahead = op->claimed;
    link_ask(l, op, PART_OPEN, &a);
}

static void start(struct link *l, struct op *op)
{
    if (!l->flow && (l->flow = calloc(1, sizeof *l->flow)))
        buf_init(&l->flow->pending, 0);
    if (!l->flow) {
        run_fail(l->worker->run, "no memory for another consumer");
        return;
    }
    flow_reset(l->flow);
    ask_open(l, op);
    look_again(l, op);
}

/* ---- the end ---- */

static bool settled(const struct flow *f)
{
    return f->n_pending == 0 && f->n_free == SLOTS;
}

static void end_where_due(struct link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (f->closed && settled(f) && op->left == 0) {
        op_done(l, op);
        return;
    }
    if (!f->dry || f->ahead > 0 || f->closing || f->stream == 0 || !settled(f))
        return;
    struct ask a = {.kind = ASK_CLOSE, .stream = f->stream};
    f->closing = true;
    op->left++;
    link_ask(l, op, PART_CLOSE, &a);
}

/* The time is over: what was claimed and has not come is given up. */
static void stop_where_due(struct link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (f->dry || l->worker->now_ns < l->worker->run->stop_ns || f->stream == 0)
        return;
    f->dry = true;
    f->ahead = 0;
    end_where_due(l, op);
}

/* ---- acknowledging ---- */

static void ask_ack(struct link *l, struct op *op)
{
    struct flow *f = l->flow;
    struct worker *w = l->worker;
    uint32_t number = f->free[--f->n_free], n = 0;
    struct cursor c = cursor_of(buf_slice(&f->pending));
    while (n < f->n_pending)
        w->receipts[n++] = cursor_sized(&c);
    assert(!c.bad && cursor_left(&c) == 0);
    struct ask a = {.kind = ASK_ACK,
                    .topic = w->run->topic,
                    .group = w->run->group,
                    .receipts = w->receipts,
                    .n_receipts = n};
    f->slots[number] = (struct slot){f->pending_messages, w->now_ns, f->pending_bytes};
    op->left++;
    link_ask(l, op, number + 1, &a);
    buf_reset(&f->pending, 1 << 20);
    f->n_pending = f->pending_messages = 0;
    f->pending_bytes = 0;
}

static void acked(struct link *l, struct slot *slot, const struct answer *a)
{
    struct worker *w = l->worker;
    struct run *r = w->run;
    int64_t n = 0;
    if (a->kind != ANSWER_DONE)
        run_trouble(w, a->text);
    else if (!r->dialect->number(a->result, &n) || n > slot->messages)
        run_trouble(w, SLICE_LIT("TESTER an ACK was answered by something that is no count"));
    if (n < slot->messages) {
        METER_COUNT(&w->meter, stale, slot->messages - (uint64_t)n);
        run_unclaim(r, slot->messages - (uint32_t)n);
        l->flow->dry = false;
    }
    if (run_measures(r, slot->asked_ns)) {
        meter_time(&w->meter, LAT_ack, slot->asked_ns, w->now_ns, 1);
        METER_COUNT(&w->meter, operations, 1);
        METER_COUNT(&w->meter, messages, (uint64_t)n);
        METER_COUNT(&w->meter, bytes, slot->bytes);
    }
}

static void give_credit(struct link *l)
{
    struct flow *f = l->flow;
    struct run *r = l->worker->run;
    bool worth_it = f->ahead == 0 || f->owed >= (r->o->credit + 3) / 4;
    if (f->stream == 0 || f->dry || f->closing || !worth_it)
        return;
    uint32_t n = run_claim(r, f->owed, l->worker->now_ns);
    f->owed -= n;
    f->ahead += n;
    f->dry = n == 0;
    struct ask a = {.kind = ASK_CREDIT, .stream = f->stream, .count = n};
    if (n > 0)
        link_ask(l, only_op(l), 0, &a);
}

static void go_on(struct link *l, struct op *op)
{
    struct flow *f = l->flow;
    if (f->n_pending > 0 && f->n_free > 0)
        ask_ack(l, op);
    give_credit(l);
    end_where_due(l, op);
}

/* ---- what comes ---- */

static bool meant(const struct pushed *p, uint32_t i)
{
    return p->bits.len == 0 || (i / 8 < p->bits.len && (p->bits.data[i / 8] >> i % 8 & 1));
}

/* Bytes of the body: of a plain message it stands behind three small numbers. */
static bool body_bytes(const struct pushed *p, const struct record_header *h, uint32_t i,
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
static void put_range(struct link *l, const struct pushed *p, uint64_t from, uint32_t n)
{
    struct flow *f = l->flow;
    struct slice topic = l->worker->run->topic;
    char text[256];
    int len = snprintf(text, sizeof text, "%.*s:%lld:%llu-%llu#%lld", (int)topic.len,
                       (const char *)topic.data, (long long)p->queue, (unsigned long long)from,
                       (unsigned long long)(from + n - 1), (long long)p->attempt);
    buf_put_sized(&f->pending, slice_of(text, (size_t)len));
    f->n_pending++;
    f->pending_messages += n;
    if (f->n_pending == COUNT_MAX && f->n_free > 0)
        ask_ack(l, only_op(l));
}

/* All messages of a record that are meant. False: it is damaged. */
static bool take(struct link *l, const struct pushed *p, uint32_t *ret_n)
{
    struct record_header h;
    uint32_t run = 0;
    *ret_n = 0;
    if (record_header_read(p->record, &h) != ST_OK || record_checksum(p->record) != h.checksum)
        return false;
    for (uint32_t i = 0; i < h.count; i++) {
        bool in = meant(p, i);
        if (in && !body_bytes(p, &h, i, &l->flow->pending_bytes))
            return false;
        run += in;
        *ret_n += in;
        bool ends = run > 0 && (!in || i + 1 == h.count || run == COUNT_MAX);
        if (ends) {
            put_range(l, p, h.base + i + in - run, run);
            run = 0;
        }
    }
    return !l->flow->pending.failed;
}

static void brought(struct link *l, struct op *op, const struct pushed *p)
{
    struct worker *w = l->worker;
    struct flow *f = l->flow;
    uint32_t n = 0;
    if (!take(l, p, &n)) {
        run_fail(w->run, "a stream brought a record that is damaged");
        return;
    }
    if (f->n_pending > COUNT_MAX) { /* more ranges than one ACK names, and no slot for it */
        run_fail(w->run, "a stream brought more small records than can be acknowledged: lower --credit");
        return;
    }
    atomic_store_explicit(&w->run->progress_ns, w->now_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->run->taken, n, memory_order_relaxed);
    METER_COUNT(&w->meter, taken, n);
    if (p->attempt > 1)
        METER_COUNT(&w->meter, redelivered, n);
    f->ahead -= n < f->ahead ? n : f->ahead;
    f->owed += n;
    go_on(l, op);
}

static void pushed(struct link *l, const struct answer *a)
{
    struct op *op = only_op(l);
    if (!l->flow || !op->active)
        return;
    if (a->kind == ANSWER_RECORDS) {
        brought(l, op, &a->pushed);
        return;
    }
    run_trouble(l->worker, SLICE_LIT("ENDED the broker ended a stream"));
    l->flow->closed = l->flow->closing = l->flow->dry = true;
    l->flow->stream = 0;
    end_where_due(l, op);
}

static void opened(struct link *l, struct op *op, const struct answer *a)
{
    if (a->kind == ANSWER_DONE && l->worker->run->dialect->number(a->result, &l->flow->stream))
        return;
    if (a->busy)
        METER_COUNT(&l->worker->meter, retries, 1);
    else
        run_trouble(l->worker, a->kind == ANSWER_DONE ? SLICE_LIT("TESTER no stream id") : a->text);
    op->again = true;
    look_again(l, op);
}

static void answered(struct link *l, struct op *op, uint32_t part, const struct answer *a)
{
    struct flow *f = l->flow;
    if (part == PART_OPEN) {
        opened(l, op, a);
    } else if (part == PART_CLOSE) {
        f->closed = true;
    } else {
        acked(l, &f->slots[part - 1], a);
        f->free[f->n_free++] = (uint8_t)(part - 1);
    }
    go_on(l, op);
}

/* Looks at the clock; a stream that was refused is asked for again. */
static void remind(struct link *l, struct op *op)
{
    struct run *r = l->worker->run;
    if (op->again && l->worker->now_ns >= r->stop_ns) {
        l->flow->dry = l->flow->closed = true;
        end_where_due(l, op);
        return;
    }
    if (op->again)
        ask_open(l, op);
    /* Without a number to reach, a queue that stays empty is no standstill. */
    if (r->o->messages == 0)
        atomic_store_explicit(&r->progress_ns, l->worker->now_ns, memory_order_relaxed);
    stop_where_due(l, op);
    if (op->active)
        look_again(l, op);
}

/* What was leased and is not acknowledged comes again when the lease ends. */
static void broken(struct link *l, struct op *op)
{
    struct flow *f = l->flow;
    uint32_t unacked = f->pending_messages;
    bool taken[SLOTS] = {false};
    for (uint32_t i = 0; i < f->n_free; i++)
        taken[f->free[i]] = true;
    for (uint32_t i = 0; i < SLOTS; i++)
        unacked += taken[i] ? 0 : f->slots[i].messages;
    if (run_measures(l->worker->run, l->worker->now_ns))
        run_unclaim(l->worker->run, f->ahead + unacked);
    l->exhausted = false;
    op->left = 0;
    flow_reset(f);
    op_done(l, op);
}

const struct role role_streamer = {
    .name = "streamer",
    .claim = claim,
    .start = start,
    .answered = answered,
    .remind = remind,
    .broken = broken,
    .pushed = pushed,
};
