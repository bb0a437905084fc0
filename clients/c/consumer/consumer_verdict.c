/*
 * consumer_verdict.c: acknowledging, requeueing and rejecting messages; see consumer_verdict.h.
 *
 * An ACK request names up to ACKS_MAX receipts, each of one message or of a range of neighbours. Several workers end
 * messages in any order, so those that are queued form runs of neighbours, which grow together:
 *
 *   items   . [3 4 5] . . [8 9] .        consumer.acks: 3, 8          7 is queued: [7 8 9]; then 6: [3 4 5 6 7 8 9]
 *   run        3 ? 3       2 2
 *
 * The first and the last one of a run have its length, so that both ends are found from each other, and what joins them
 * need not look at those between. Once the request is handed over, its messages are held no more.
 *
 * A request is sent at once where none is under way. Those that are ended meanwhile wait for its reply, unless they are
 * many: a reply takes a sync of the broker, and until the request is sent they leave no room for others. If all of them
 * waited, the broker would have no credit left during each sync.
 */
#include "clients/c/consumer/consumer_verdict.h"

#include "clients/c/consumer/consumer_flow.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/request.h"
#include "protocol/limits.h"

#define ACKS_MAX 1000 /* receipts in one request */
#define ACKS_OPEN_MAX 8u /* requests under way */
#define ACKS_MANY 256u /* messages that are worth a request beside others, and that part of what it may hold */
#define ACK_RETRY_MS 100 /* after a request that could not be made */

/* ---- acknowledging ---- */

static void verdict_ack_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    int64_t count = 0;
    flow_trouble(c, "ack", o->status, o->text);
    pthread_mutex_lock(&c->lock);
    if (o->status == HMQ_OK && rpc_int(o->result, &count))
        c->stats.acked += (uint64_t)count;
    c->stats.acks_lost += f->n > (uint64_t)count ? f->n - (uint64_t)count : 0;
    c->acks_open--;
    flow_end(f);
}

/* A receipt names COUNT_MAX messages at most. */
static size_t verdict_receipts(const struct held *run)
{
    return (run->run + COUNT_MAX - 1u) / COUNT_MAX;
}

/* Puts the first of c->acks into the request, as many as fit, and sets f->n. */
static void verdict_ack_encode(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    struct buf *b = &f->call.frame;
    size_t receipts = 0;
    for (struct held *h = TAILQ_FIRST(&c->acks); h && receipts < ACKS_MAX; h = TAILQ_NEXT(h, link))
        receipts += verdict_receipts(h);
    receipts = receipts < ACKS_MAX ? receipts : ACKS_MAX;
    request_begin(&f->call, "ack", 2);
    pair_text(b, "group", c->group);
    rpc_put_str(b, SLICE_LIT("receipt"));
    rpc_put_list(b, receipts);
    for (struct held *h = TAILQ_FIRST(&c->acks); receipts > 0; h = TAILQ_NEXT(h, link)) {
        for (size_t at = 0, n; at < h->run && receipts > 0; at += n, receipts--) {
            n = h->run - at < COUNT_MAX ? h->run - at : COUNT_MAX;
            held_put_receipt(b, h + at, n);
            f->n += n;
        }
    }
    f->call.repeat = CALL_AGAIN_BUSY;
}

/* The run that this one is the first of is n messages long. */
static void verdict_run_set(struct held *first, size_t n)
{
    first->run = first[n - 1].run = (uint32_t)n; /* of one delivery */
}

/* The first n messages of c->acks are in a request. */
static void verdict_ack_release(struct hmq_consumer *c, size_t n)
{
    c->n_acks -= n;
    while (n > 0) {
        struct held *h = TAILQ_FIRST(&c->acks);
        size_t whole = h->run, part = whole < n ? whole : n;
        TAILQ_REMOVE(&c->acks, h, link);
        if (part < whole) {
            verdict_run_set(h + part, whole - part);
            TAILQ_INSERT_HEAD(&c->acks, h + part, link);
        }
        held_release_run(h, part);
        n -= part;
    }
}

static bool verdict_ack_is_due(const struct hmq_consumer *c)
{
    if (c->n_acks == 0)
        return false;
    bool many = c->n_acks >= ACKS_MANY && c->n_acks >= c->prefetch / ACKS_OPEN_MAX;
    return (c->acks_open == 0 || (many && c->acks_open < ACKS_OPEN_MAX)) && clock_ms() >= c->ack_after_ms;
}

/* The reply waits for our lock. */
void verdict_pump(struct hmq_consumer *c)
{
    if (!verdict_ack_is_due(c))
        return;
    struct flow_call *f = flow_call(c, verdict_ack_done);
    if (f)
        verdict_ack_encode(f);
    size_t n = f ? f->n : 0;
    if (!f || !flow_submit(f)) {
        c->ack_after_ms = clock_ms() + ACK_RETRY_MS;
        service_at(c->client, &c->service, c->ack_after_ms);
        return;
    }
    c->acks_open++;
    verdict_ack_release(c, n);
}

void verdict_ack_run(struct held *h, size_t more)
{
    struct held *before = held_before(h), *after = held_next(h + more - 1), *first = h;
    struct hmq_consumer *c = h->delivery->consumer;
    size_t n = more, left = 0;
    for (size_t i = 0; i < more; i++) {
        h[i].state = HELD_ENDING;
        h[i].queued = true;
        left += !h[i].left_window;
        h[i].left_window = true;
    }
    c->n_acks += more;
    held_left_window(c, left);
    if (before && before->queued) {
        n += before->run;
        first = h - before->run;
    }
    if (after && after->queued) {
        n += after->run;
        if (first == h)
            TAILQ_INSERT_BEFORE(after, h, link);
        TAILQ_REMOVE(&c->acks, after, link);
    } else if (first == h) {
        TAILQ_INSERT_TAIL(&c->acks, h, link);
    }
    verdict_run_set(first, n);
}

/* ---- one message by itself ---- */

/* What became of an ACK, NACK or REJECT of one message. */
static enum hmq_status verdict_one_status(const struct call *call, const struct call_outcome *o)
{
    int64_t count = 0;
    bool acked = !rpc_int(o->result, &count) || count > 0;
    if (o->status == HMQ_OK && acked)
        return HMQ_OK;
    if (o->status != HMQ_OK && o->status != HMQ_ESTALE)
        return o->status;
    return call->repeated ? HMQ_EUNKNOWN : HMQ_ESTALE; /* the first one may have ended it */
}

static void verdict_one_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    enum hmq_status status = verdict_one_status(call, o);
    int64_t count = 0;
    if (o->status != HMQ_ESTALE)
        flow_trouble(c, f->method, o->status, o->text);
    flow_tell(f, status, status == o->status ? o->text : slice_of(NULL, 0));
    pthread_mutex_lock(&c->lock);
    if (o->status == HMQ_OK && rpc_int(o->result, &count))
        c->stats.acked += (uint64_t)count;
    held_release(f->held);
    flow_end(f);
}

/* method: "ack", "nack" or "reject". delay_ms below 0 and an empty reason are left out. False: nothing was done. */
static bool verdict_one_submit(struct held *h, const char *method, int64_t delay_ms, const char *reason,
                               struct ended ended)
{
    struct hmq_consumer *c = h->delivery->consumer;
    struct flow_call *f = flow_call(c, verdict_one_done);
    enum held_state before = h->state;
    if (!f)
        return false;
    f->held = h;
    f->method = method;
    f->ended = ended.fn;
    f->ended_arg = ended.arg;
    request_begin(&f->call, method, 2u + (delay_ms >= 0) + (reason[0] != '\0'));
    pair_text(&f->call.frame, "group", c->group);
    pair_text(&f->call.frame, "receipt", hmq_message_receipt(held_message(h)));
    if (delay_ms >= 0)
        pair_int(&f->call.frame, "delay", delay_ms);
    if (reason[0])
        pair_text(&f->call.frame, "reason", reason);
    /* A repeat of what was done answers STALE, or 0. */
    f->call.repeat = CALL_AGAIN_BUSY;
    h->state = HELD_ENDING;
    if (flow_submit(f))
        return true;
    h->state = before;
    return false;
}

void verdict_return(struct held *h)
{
    h->delivery->consumer->stats.returned++;
    if (!verdict_one_submit(h, "nack", 0, "", (struct ended){0})) /* without a delay: no handler has failed */
        held_release(h);
}

bool verdict_end(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry, struct ended ended)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (verdict == HMQ_KEEP) {
        held_release(h);
        return true;
    }
    if (verdict == HMQ_ACK && !ended.fn) {
        verdict_ack_run(h, 1);
        return true;
    }
    const char *method = verdict == HMQ_ACK ? "ack" : verdict == HMQ_NACK ? "nack" : "reject";
    bool nack = verdict == HMQ_NACK;
    bool sent = verdict_one_submit(h, method, nack ? retry->delay_ms : HMQ_DEFAULT,
                                   verdict == HMQ_ACK ? "" : retry->reason, ended);
    c->stats.nacked += sent && verdict != HMQ_ACK;
    return sent;
}

void verdict_take(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry)
{
    if (!verdict_end(h, verdict, retry, (struct ended){0}))
        held_release(h); /* it is redelivered when its lease expires */
}
