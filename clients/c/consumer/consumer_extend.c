/*
 * consumer_extend.c: EXTEND requests, and what their replies say of the leases; see consumer_extend.h.
 *
 * A message is due at half of its lease. Until the reply says otherwise it is due again after an eighth of
 * it, and no longer at all when it is held for longer than max_lease_ms.
 */
#include "clients/c/consumer/consumer_extend.h"

#include "clients/c/client/logs.h"
#include "clients/c/consumer/consumer_flow.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/request.h"
#include "protocol/limits.h"

/* What the reply means for one of the messages. */
static void extend_one_done(struct held *h, enum hmq_status status, int64_t sent_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    h->extending = false;
    if (h->state == HELD_GONE)
        return;
    if (status == HMQ_OK) {
        c->stats.extended++;
        h->lease_until_ms = sent_ms + c->lease_ms;
        held_extend_at(h, sent_ms + c->lease_ms / 2);
    } else if (status == HMQ_ESTALE) {
        h->lost = true;
        c->stats.lost++;
    } else {
        held_extend_at(h, clock_ms() + c->lease_ms / 8);
    }
}

static void extend_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct delivery *d = f->held->delivery;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < f->n; i++)
        extend_one_done(f->held + i, o->status, f->sent_ms);
    size_t n = f->n;
    hmq_client *client = c->client;
    delivery_release(d);
    service_kick(client, &c->service);
    flow_end(f);
    if (o->status == HMQ_ESTALE)
        logs_say(client, HMQ_LOG_WARNING, "the leases of %zu messages are lost: they are redelivered", n);
}

/* n messages from h on, as one range. */
static void extend_submit(struct held *h, size_t n, int64_t now_ms)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    struct flow_call *f = flow_call(c, extend_done);
    for (size_t i = 0; i < n; i++)
        held_extend_at(h + i, now_ms + c->lease_ms / 8); /* unless the reply says otherwise */
    if (!f)
        return;
    f->held = h;
    f->n = n;
    f->call.repeat = CALL_AGAIN_BUSY;
    request_begin(&f->call, "extend", 3);
    pair_text(&f->call.frame, "group", c->group);
    rpc_put_str(&f->call.frame, SLICE_LIT("receipt"));
    held_put_receipt(&f->call.frame, h, n);
    pair_int(&f->call.frame, "dur", c->lease_ms);
    if (!flow_submit(f))
        return;
    d->users++; /* until extend_done */
    for (size_t i = 0; i < n; i++)
        h[i].extending = true;
}

/* One request names both. What a handler has, or the application keeps, is extended alone: the broker refuses a range
 * only where all of it is lost, and these are told when they are. */
static bool extend_joins(const struct held *h, const struct held *next)
{
    return h->state == HELD_WAITING && next->state == HELD_WAITING;
}

static bool extend_applies(const struct held *h, int64_t now_ms)
{
    return !h->lost && !h->extending && h->state < HELD_ENDING && now_ms < h->delivery->give_up_ms;
}

static size_t extend_run(struct held *h, int64_t now_ms)
{
    size_t n = 1;
    for (struct held *next = held_next(h);
         next && n < COUNT_MAX && extend_joins(h, next) && extend_applies(next, now_ms) && next->extend_at_ms <= now_ms;
         next = held_next(next))
        n++;
    return n;
}

/* It is not unpacked yet; where it is due, a worker does that now (open_due), and reads its times meanwhile. */
static void extend_later(const struct delivery *d, int64_t now_ms)
{
    struct hmq_consumer *c = d->consumer;
    int64_t at_ms = d->whole.extend_at_ms > now_ms ? d->whole.extend_at_ms : now_ms + c->lease_ms / 8;
    if (at_ms < c->next_extend_ms)
        c->next_extend_ms = at_ms;
}

static void extend_delivery(struct delivery *d, int64_t now_ms)
{
    if (!d->items) {
        extend_later(d, now_ms);
        return;
    }
    for (struct held *h = d->items; h < d->items + d->n; h++) {
        if (!extend_applies(h, now_ms))
            continue;
        if (h->extend_at_ms > now_ms)
            held_extend_at(h, h->extend_at_ms);
        else
            extend_submit(h, extend_run(h, now_ms), now_ms);
    }
}

void extend_due(struct hmq_consumer *c, int64_t now_ms)
{
    struct delivery *d;
    if (now_ms < c->next_extend_ms)
        return;
    c->next_extend_ms = CORE_NEVER;
    TAILQ_FOREACH(d, &c->deliveries, link)
        extend_delivery(d, now_ms);
}
