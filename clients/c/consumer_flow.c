/*
 * consumer_flow.c: a consumer's requests to the broker and what their answers do; see consumer.h.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/consumer.h"
#include "protocol/limits.h"

#define PAUSE_FIRST_MS 50 /* after a POP that was refused */
#define PAUSE_MAX_MS 2000
#define ACKS_MAX 1000 /* receipts in one request */
#define ACK_RETRY_MS 100 /* after a request that could not be made */

struct flow_call {
    struct call call;
    struct hmq_consumer *consumer;
    struct held *held; /* nack, reject, extend */
    struct held_list acks; /* ack */
    int64_t sent_ms;
};

typedef void flow_done(struct call *call, const struct outcome *outcome);

static struct flow_call *flow_of(struct call *call)
{
    return (struct flow_call *)(void *)call; /* the call is its first member */
}

static struct flow_call *flow_call(struct hmq_consumer *c, flow_done *done)
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

/* Under the lock. On failure the call is freed. */
static bool flow_submit(struct flow_call *f)
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

/* The end of every done(): counts the call out, goes on with what waits, tells a closer. */
static void flow_end(struct flow_call *f)
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

static void trouble(struct hmq_consumer *c, const char *what, const struct outcome *o)
{
    char text[HMQ_ERROR_TEXT_SIZE];
    if (o->status < HMQ_EREFUSED)
        return;
    snprintf(text, sizeof text, "%s, group %s: %.*s", what, c->group, (int)o->text.len,
             (const char *)o->text.data);
    client_event(c->client, HMQ_EVENT_TROUBLE, text);
}

/* ---- messages held ---- */

static void delivery_release(struct delivery *d)
{
    assert(d);
    if (--d->users > 0)
        return;
    hmq_batch_free(d->batch);
    free(d);
}

void held_release(struct held *h)
{
    struct hmq_consumer *c = h->consumer;
    TAILQ_REMOVE(&c->held, h, link);
    c->n_held--;
    c->held_bytes -= h->bytes;
    h->state = HELD_GONE;
    delivery_release(h->delivery);
    h->delivery = NULL;
    h->m = NULL;
    if (!h->extending)
        free(h);
}

/* ---- acknowledging ---- */

static void ack_done(struct call *call, const struct outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct held *h;
    int64_t count = 0;
    trouble(c, "ack", o);
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

/* The request for the first n of c->acks. */
static void encode_acks(struct flow_call *f, size_t n)
{
    struct hmq_consumer *c = f->consumer;
    struct buf *b = &f->call.frame;
    request_begin(&f->call, "ack", 2);
    pair_text(b, "group", c->group);
    rpc_put_str(b, SLICE_LIT("receipt"));
    rpc_put_list(b, n);
    struct held *h = TAILQ_FIRST(&c->acks);
    for (size_t i = 0; i < n; i++, h = TAILQ_NEXT(h, ack_link))
        rpc_put_str(b, slice_str(h->m->receipt));
    f->call.repeat = f->call.busy_again = true;
}

/* The answer waits for our lock, so the messages may join the request after it is submitted. */
static void maybe_ack(struct hmq_consumer *c)
{
    size_t n = c->n_acks < ACKS_MAX ? c->n_acks : ACKS_MAX;
    if (c->ack_open || n == 0 || clock_ms() < c->ack_after_ms)
        return;
    struct flow_call *f = flow_call(c, ack_done);
    if (f)
        encode_acks(f, n);
    if (!f || !flow_submit(f)) {
        c->ack_after_ms = clock_ms() + ACK_RETRY_MS;
        client_service_kick(c->client, &c->service);
        return;
    }
    c->ack_open = true;
    c->n_acks -= n;
    for (size_t i = 0; i < n; i++) {
        struct held *h = TAILQ_FIRST(&c->acks);
        TAILQ_REMOVE(&c->acks, h, ack_link);
        TAILQ_INSERT_TAIL(&f->acks, h, ack_link);
    }
}

/* ---- giving back ---- */

static void end_done(struct call *call, const struct outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    if (o->status != HMQ_ESTALE)
        trouble(c, "nack", o);
    pthread_mutex_lock(&c->lock);
    held_release(f->held);
    flow_end(f);
}

static void end_message(struct held *h, const char *method, int64_t delay_ms, const char *reason)
{
    struct flow_call *f = flow_call(h->consumer, end_done);
    h->state = HELD_ENDING;
    if (!f) {
        held_release(h);
        return;
    }
    f->held = h;
    request_begin(&f->call, method, 2u + (delay_ms >= 0) + (reason[0] != '\0'));
    pair_text(&f->call.frame, "group", h->consumer->group);
    pair_text(&f->call.frame, "receipt", h->m->receipt);
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
    h->consumer->stats.returned++;
    end_message(h, "nack", HMQ_DEFAULT, "");
}

void flow_verdict(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry)
{
    struct hmq_consumer *c = h->consumer;
    c->stats.handled++;
    if (verdict == HMQ_KEEP) {
        held_release(h);
    } else if (verdict == HMQ_ACK) {
        h->state = HELD_ENDING;
        TAILQ_INSERT_TAIL(&c->acks, h, ack_link);
        c->n_acks++;
    } else {
        bool reject = verdict == HMQ_REJECT;
        c->stats.nacked++;
        end_message(h, reject ? "reject" : "nack", reject ? HMQ_DEFAULT : retry->delay_ms,
                    retry->reason);
    }
}

/* ---- extending ---- */

static void extend_later(struct held *h, int64_t at_ms)
{
    h->extend_at_ms = at_ms;
    if (at_ms < h->consumer->next_extend_ms)
        h->consumer->next_extend_ms = at_ms;
}

static void extend_done(struct call *call, const struct outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct held *h = f->held;
    pthread_mutex_lock(&c->lock);
    h->extending = false;
    if (h->state == HELD_GONE) {
        free(h);
    } else if (o->status == HMQ_OK) {
        c->stats.extended++;
        h->lease_until_ms = f->sent_ms + c->lease_ms;
        extend_later(h, f->sent_ms + c->lease_ms / 2);
    } else if (o->status == HMQ_ESTALE) {
        h->lost = true;
        c->stats.lost++;
    } else {
        extend_later(h, clock_ms() + c->lease_ms / 8);
    }
    client_service_kick(c->client, &c->service);
    flow_end(f);
}

static void extend(struct held *h, int64_t now_ms)
{
    struct hmq_consumer *c = h->consumer;
    struct flow_call *f = flow_call(c, extend_done);
    extend_later(h, now_ms + c->lease_ms / 8); /* unless the answer says otherwise */
    if (!f)
        return;
    f->held = h;
    f->call.repeat = f->call.busy_again = true;
    request_begin(&f->call, "extend", 3);
    pair_text(&f->call.frame, "group", c->group);
    pair_text(&f->call.frame, "receipt", h->m->receipt);
    pair_int(&f->call.frame, "dur", c->lease_ms);
    h->extending = true;
    if (!flow_submit(f))
        h->extending = false;
}

static void extend_due(struct hmq_consumer *c, int64_t now_ms)
{
    if (now_ms < c->next_extend_ms)
        return;
    c->next_extend_ms = CORE_NEVER;
    for (struct held *h = TAILQ_FIRST(&c->held); h; h = TAILQ_NEXT(h, link)) {
        if (h->lost || h->extending || h->state >= HELD_ENDING || now_ms >= h->give_up_ms)
            continue;
        if (h->extend_at_ms <= now_ms)
            extend(h, now_ms);
        else
            extend_later(h, h->extend_at_ms);
    }
}

/* ---- asking for more ---- */

/* One message that came. False: no memory; it comes again when its lease ends. */
static bool take_message(struct hmq_consumer *c, struct delivery *d, const struct hmq_message *m,
                         int64_t now_ms)
{
    struct held *h = calloc(1, sizeof *h);
    if (!h)
        return false;
    h->consumer = c;
    h->delivery = d;
    h->m = m;
    h->bytes = message_bytes(m);
    h->lease_until_ms = now_ms + c->lease_ms;
    h->give_up_ms = now_ms + c->max_lease_ms;
    d->users++;
    TAILQ_INSERT_TAIL(&c->held, h, link);
    c->n_held++;
    c->held_bytes += h->bytes;
    c->average_bytes = (c->average_bytes * 7 + h->bytes) / 8;
    c->stats.received++;
    extend_later(h, now_ms + c->lease_ms / 2);
    if (c->draining || !workers_push(&c->workers, &h->task))
        flow_return(h);
    return true;
}

/* Under the lock. */
static enum hmq_status take_batch(struct hmq_consumer *c, const struct outcome *o)
{
    struct hmq_batch *batch;
    struct hmq_reply *reply = reply_copy(o->result);
    struct delivery *d = calloc(1, sizeof *d);
    enum hmq_status status = reply && d ? batch_of(reply, &batch) : HMQ_ENOMEM;
    if (status != HMQ_OK) {
        hmq_reply_free(reply);
        free(d);
        return status;
    }
    d->batch = batch;
    d->users = 1; /* ours, until all are taken */
    int64_t now_ms = clock_ms();
    for (size_t i = 0; i < batch->n; i++)
        if (!take_message(c, d, &batch->items[i], now_ms))
            status = HMQ_ENOMEM;
    delivery_release(d);
    return status;
}

static void pop_pause(struct hmq_consumer *c)
{
    c->pop_after_ms = clock_ms() + c->pop_pause_ms;
    c->pop_pause_ms = c->pop_pause_ms * 2 < PAUSE_MAX_MS ? c->pop_pause_ms * 2 : PAUSE_MAX_MS;
}

static void pop_done(struct call *call, const struct outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    trouble(c, "pop", o);
    pthread_mutex_lock(&c->lock);
    enum hmq_status status = o->status == HMQ_OK ? take_batch(c, o) : o->status;
    c->pop_open = false;
    if (status == HMQ_OK)
        c->pop_pause_ms = PAUSE_FIRST_MS;
    else
        pop_pause(c);
    client_service_kick(c->client, &c->service);
    flow_end(f);
}

/* How many messages there is room for. */
static size_t room_for(const struct hmq_consumer *c)
{
    size_t by_count = c->prefetch - c->n_held;
    size_t bytes = c->prefetch_bytes > c->held_bytes ? c->prefetch_bytes - c->held_bytes : 0;
    size_t by_bytes = bytes / c->average_bytes;
    size_t n = by_count < by_bytes ? by_count : by_bytes;
    if (n == 0 && c->n_held == 0)
        n = 1;
    return n < COUNT_MAX ? n : COUNT_MAX;
}

/* Half of the room is free before more is asked for, so that a request brings many. */
static void maybe_pop(struct hmq_consumer *c)
{
    size_t n = room_for(c);
    if (c->pop_open || c->draining || n == 0 || c->n_held * 2 > c->prefetch ||
        clock_ms() < c->pop_after_ms)
        return;
    struct flow_call *f = flow_call(c, pop_done);
    if (f) {
        f->call.deadline_ms += c->wait_ms;
        request_begin(&f->call, "pop", 5);
        pair_text(&f->call.frame, "group", c->group);
        pair_texts(&f->call.frame, "topic", (const char *const *)c->topics, c->n_topics);
        pair_int(&f->call.frame, "count", (int64_t)n);
        pair_int(&f->call.frame, "wait", c->wait_ms);
        pair_int(&f->call.frame, "lease", c->lease_ms);
    }
    c->pop_open = true;
    if (!f || !flow_submit(f)) {
        c->pop_open = false;
        pop_pause(c);
        client_service_kick(c->client, &c->service);
    }
}

void flow_pump(struct hmq_consumer *c)
{
    if (c->closing)
        return;
    maybe_ack(c);
    maybe_pop(c);
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
    if (!c->pop_open && !c->draining && c->pop_after_ms > now_ms && c->pop_after_ms < next_ms)
        next_ms = c->pop_after_ms;
    pthread_mutex_unlock(&c->lock);
    return next_ms;
}
