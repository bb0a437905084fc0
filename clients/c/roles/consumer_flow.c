/*
 * consumer_flow.c: a consumer's requests to the broker and what their answers do; see consumer.h.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/roles/consumer.h"
#include "protocol/limits.h"

#define ACKS_MAX 1000 /* receipts in one request, each of one message or a range */
#define ACK_RETRY_MS 100 /* after a request that could not be made */
#define RECEIPT_SIZE (HMQ_ID_SIZE + 24)

struct flow_call *flow_call(struct hmq_consumer *c, flow_done *done)
{
    struct flow_call *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    call_init(&f->call, client_id(c->client), done);
    f->call.deadline_ms = client_deadline(c->client, HMQ_DEFAULT);
    f->call.owner = c;
    f->consumer = c;
    f->sent_ms = clock_ms();
    TAILQ_INIT(&f->acks);
    return f;
}

bool flow_submit(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    c->calls++;
    if (client_submit(c->client, &f->call, 0) == HMQ_OK)
        return true;
    c->calls--;
    call_fini(&f->call);
    free(f);
    return false;
}

void flow_end(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    struct hmq_client *client = c->client;
    flow_pump(c);
    c->calls--;
    bool tell = c->draining;
    pthread_mutex_unlock(&c->lock);
    /* From here on the consumer may be gone. */
    call_fini(&f->call);
    free(f);
    if (tell)
        client_changed(client);
}

void flow_trouble(struct hmq_consumer *c, const char *what, enum hmq_status status,
                  struct slice said)
{
    char text[HMQ_ERROR_TEXT_SIZE];
    if (status < HMQ_EREFUSED)
        return;
    snprintf(text, sizeof text, "%s, group %s: %.*s", what, c->group, (int)said.len,
             (const char *)said.data);
    client_event(c->client, HMQ_EVENT_TROUBLE, text);
}

/* ---- messages held ---- */

static void delivery_release(struct delivery *d)
{
    assert(d->users > 0);
    if (--d->users > 0)
        return;
    hmq_batch_free(d->batch);
    free(d);
}

void held_release(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    TAILQ_REMOVE(&c->held, h, link);
    c->n_held--;
    c->held_bytes -= h->bytes;
    take_done(c);
    h->state = HELD_GONE;
    h->m = NULL;
    delivery_release(h->delivery);
}

/* The neighbour behind it, where one range can name both; NULL: none. */
static struct held *next_of(struct held *h)
{
    struct delivery *d = h->delivery;
    struct held *next = h + 1;
    if (!d->ranges || next == d->items + d->n || !h->m || !next->m)
        return NULL;
    return hmq_message_offset(next->m) == hmq_message_offset(h->m) + 1 ? next : NULL;
}

/* The receipt of n messages from h on. */
static void put_receipt(struct buf *b, const struct held *h, size_t n)
{
    char text[RECEIPT_SIZE];
    const struct hmq_message *m = h->m;
    if (n == 1) {
        rpc_put_str(b, slice_str(hmq_message_receipt(m)));
        return;
    }
    uint64_t first = hmq_message_offset(m);
    snprintf(text, sizeof text, "%.134s:%" PRIu32 ":%" PRIu64 "-%" PRIu64 "#%" PRIu32,
             hmq_message_topic(m), hmq_message_queue(m), first, first + n - 1,
             hmq_message_attempt(m));
    rpc_put_str(b, slice_str(text));
}

/* ---- acknowledging ---- */

static void ack_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct held *h;
    int64_t count = 0;
    flow_trouble(c, "ack", o->status, o->text);
    pthread_mutex_lock(&c->lock);
    if (o->status == HMQ_OK && rpc_int(o->result, &count))
        c->stats.acked += (uint64_t)count;
    while ((h = TAILQ_FIRST(&f->acks))) {
        TAILQ_REMOVE(&f->acks, h, ack_link);
        held_release(h);
    }
    c->ack_open = false;
    flow_end(f);
}

/* How many of c->acks, from h on, one receipt can name. */
static size_t run_of(struct held *h)
{
    size_t n = 1;
    for (struct held *next = TAILQ_NEXT(h, ack_link); n < COUNT_MAX && next && next_of(h) == next;
         next = TAILQ_NEXT(h, ack_link)) {
        h = next;
        n++;
    }
    return n;
}

static struct held *after_run(struct held *h, size_t n)
{
    while (n-- > 0)
        h = TAILQ_NEXT(h, ack_link);
    return h;
}

/* The request for the first of c->acks, as many as fit. Their number. */
static size_t encode_acks(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    struct buf *b = &f->call.frame;
    size_t receipts = 0, n = 0, run;
    struct held *h;
    for (h = TAILQ_FIRST(&c->acks); h && receipts < ACKS_MAX; h = after_run(h, run), receipts++)
        run = run_of(h);
    request_begin(&f->call, "ack", 2);
    pair_text(b, "group", c->group);
    rpc_put_str(b, SLICE_LIT("receipt"));
    rpc_put_list(b, receipts);
    h = TAILQ_FIRST(&c->acks);
    for (size_t i = 0; i < receipts; i++, n += run, h = after_run(h, run)) {
        run = run_of(h);
        put_receipt(b, h, run);
    }
    f->call.repeat = f->call.busy_again = true;
    return n;
}

/* The answer waits for our lock, so the messages may join the request after it is submitted. */
static void maybe_ack(struct hmq_consumer *c)
{
    size_t n = 0;
    if (c->ack_open || c->n_acks == 0 || clock_ms() < c->ack_after_ms)
        return;
    struct flow_call *f = flow_call(c, ack_done);
    if (f)
        n = encode_acks(f);
    if (!f || !flow_submit(f)) {
        c->ack_after_ms = clock_ms() + ACK_RETRY_MS;
        service_at(c->client, &c->service, c->ack_after_ms);
        return;
    }
    c->ack_open = true;
    c->n_acks -= n;
    for (size_t i = 0; i < n; i++) {
        struct held *h = TAILQ_FIRST(&c->acks);
        TAILQ_REMOVE(&c->acks, h, ack_link);
        h->queued = false;
        TAILQ_INSERT_TAIL(&f->acks, h, ack_link);
    }
}

/* Beside its neighbours, where they wait already: several workers end them in any order. */
static void queue_ack(struct hmq_consumer *c, struct held *h)
{
    struct delivery *d = h->delivery;
    size_t i = (size_t)(h - d->items);
    h->state = HELD_ENDING;
    h->queued = true;
    c->n_acks++;
    if (i > 0 && d->items[i - 1].queued)
        TAILQ_INSERT_AFTER(&c->acks, &d->items[i - 1], h, ack_link);
    else if (i + 1 < d->n && d->items[i + 1].queued)
        TAILQ_INSERT_BEFORE(&d->items[i + 1], h, ack_link);
    else
        TAILQ_INSERT_TAIL(&c->acks, h, ack_link);
}

/* ---- giving back ---- */

static void end_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    if (o->status != HMQ_ESTALE)
        flow_trouble(c, "nack", o->status, o->text);
    pthread_mutex_lock(&c->lock);
    held_release(f->held);
    flow_end(f);
}

static void end_message(struct held *h, const char *method, int64_t delay_ms, const char *reason)
{
    struct hmq_consumer *c = h->delivery->consumer;
    struct flow_call *f = flow_call(c, end_done);
    h->state = HELD_ENDING;
    if (!f) {
        held_release(h);
        return;
    }
    f->held = h;
    request_begin(&f->call, method, 2u + (delay_ms >= 0) + (reason[0] != '\0'));
    pair_text(&f->call.frame, "group", c->group);
    pair_text(&f->call.frame, "receipt", hmq_message_receipt(h->m));
    if (delay_ms >= 0)
        pair_int(&f->call.frame, "delay", delay_ms);
    if (reason[0])
        pair_text(&f->call.frame, "reason", reason);
    /* A repeat of what was done answers STALE, which is ignored. */
    f->call.repeat = f->call.busy_again = true;
    if (!flow_submit(f))
        held_release(h);
}

void flow_return(struct held *h)
{
    h->delivery->consumer->stats.returned++;
    end_message(h, "nack", 0, ""); /* at once: no handler has failed */
}

void flow_verdict(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry)
{
    struct hmq_consumer *c = h->delivery->consumer;
    c->stats.handled++;
    if (verdict == HMQ_KEEP) {
        held_release(h);
    } else if (verdict == HMQ_ACK) {
        queue_ack(c, h);
    } else {
        bool reject = verdict == HMQ_REJECT;
        c->stats.nacked++;
        end_message(h, reject ? "reject" : "nack", reject ? HMQ_DEFAULT : retry->delay_ms,
                    retry->reason);
    }
}

/* ---- extending ---- */

void flow_extend_later(struct held *h, int64_t at_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    h->extend_at_ms = at_ms;
    if (at_ms < c->next_extend_ms)
        c->next_extend_ms = at_ms;
}

/* What the answer means for one of the messages. */
static void extended(struct held *h, enum hmq_status status, int64_t sent_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    h->extending = false;
    if (h->state == HELD_GONE)
        return;
    if (status == HMQ_OK) {
        c->stats.extended++;
        h->lease_until_ms = sent_ms + c->lease_ms;
        flow_extend_later(h, sent_ms + c->lease_ms / 2);
    } else if (status == HMQ_ESTALE) {
        h->lost = true;
        c->stats.lost++;
    } else {
        flow_extend_later(h, clock_ms() + c->lease_ms / 8);
    }
}

static void extend_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct delivery *d = f->held->delivery;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < f->n; i++)
        extended(f->held + i, o->status, f->sent_ms);
    delivery_release(d);
    service_kick(c->client, &c->service);
    flow_end(f);
}

/* n messages from h on, as one range. */
static void extend(struct held *h, size_t n, int64_t now_ms)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    struct flow_call *f = flow_call(c, extend_done);
    for (size_t i = 0; i < n; i++)
        flow_extend_later(h + i, now_ms + c->lease_ms / 8); /* unless the answer says otherwise */
    if (!f)
        return;
    f->held = h;
    f->n = n;
    f->call.repeat = f->call.busy_again = true;
    request_begin(&f->call, "extend", 3);
    pair_text(&f->call.frame, "group", c->group);
    rpc_put_str(&f->call.frame, SLICE_LIT("receipt"));
    put_receipt(&f->call.frame, h, n);
    pair_int(&f->call.frame, "dur", c->lease_ms);
    if (!flow_submit(f))
        return;
    d->users++; /* the answer's, whose messages must stay where they are */
    for (size_t i = 0; i < n; i++)
        h[i].extending = true;
}

/* Held, and not for too long. */
static bool is_kept(const struct held *h, int64_t now_ms)
{
    return !h->lost && !h->extending && h->state < HELD_ENDING && now_ms < h->give_up_ms;
}

static void extend_due(struct hmq_consumer *c, int64_t now_ms)
{
    if (now_ms < c->next_extend_ms)
        return;
    c->next_extend_ms = CORE_NEVER;
    for (struct held *h = TAILQ_FIRST(&c->held); h; h = TAILQ_NEXT(h, link)) {
        if (!is_kept(h, now_ms))
            continue;
        if (h->extend_at_ms > now_ms) {
            flow_extend_later(h, h->extend_at_ms);
            continue;
        }
        size_t n = 1;
        for (struct held *next = next_of(h);
             next && n < COUNT_MAX && is_kept(next, now_ms) && next->extend_at_ms <= now_ms;
             next = next_of(next))
            n++;
        extend(h, n, now_ms);
    }
}

/* ---- the pump ---- */

void flow_pump(struct hmq_consumer *c)
{
    if (c->closing)
        return;
    maybe_ack(c);
    if (c->pops)
        pop_pump(c);
    else
        stream_pump(c);
}

int64_t flow_tick(struct service *s, int64_t now_ms)
{
    struct hmq_consumer *c = (struct hmq_consumer *)(void *)s; /* the service is its first member */
    pthread_mutex_lock(&c->lock);
    extend_due(c, now_ms);
    flow_pump(c);
    int64_t next_ms = c->next_extend_ms;
    if (!c->ack_open && c->n_acks > 0 && c->ack_after_ms < next_ms)
        next_ms = c->ack_after_ms;
    if (!c->fetch_open && c->fetch_after_ms > now_ms && c->fetch_after_ms < next_ms)
        next_ms = c->fetch_after_ms;
    pthread_mutex_unlock(&c->lock);
    return next_ms;
}
