/* consumer_open.c: unpacks whole deliveries; see consumer_open.h. */
#include "clients/c/consumer/consumer_open.h"

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_stream.h"

static struct held *open_held(struct task *task)
{
    return (struct held *)(void *)task; /* the task is its first member */
}

size_t open_weight(const struct task *task)
{
    const struct held *h = (const struct held *)(const void *)task;
    return h->state == HELD_WHOLE ? h->delivery->n - h->delivery->next : 1;
}

/* Whether it stands for a delivery that nobody has unpacked yet. */
static bool open_is_packed(const struct held *h)
{
    return h->state == HELD_WHOLE && !h->delivery->items;
}

void open_unpack(struct task_list *tasks)
{
    struct task *task;
    TAILQ_FOREACH(task, tasks, link)
        if (open_is_packed(open_held(task)))
            delivery_unpack(open_held(task)->delivery);
}

/* It was unpacked. False: it is dropped, and may be freed. */
static bool open_one(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    const struct packed_record a = d->arrival;
    if (delivery_open(d))
        return true;
    stream_failed(c, a.stream, a.epoch);
    c->damaged = c->damaged || a.status == HMQ_EPROTO;
    service_kick(c->client, &c->service); /* it tells the application, on the driver's thread */
    return false;
}

void open_settle(struct task_list *tasks)
{
    struct task *task, *next;
    for (task = TAILQ_FIRST(tasks); task; task = next) {
        struct held *h = open_held(task);
        next = TAILQ_NEXT(task, link);
        if (!open_is_packed(h) || !h->delivery->arrival.tried)
            continue;
        TAILQ_REMOVE(tasks, task, link);
        if (!open_one(h->delivery))
            continue;
        if (next)
            TAILQ_INSERT_BEFORE(next, task, link);
        else
            TAILQ_INSERT_TAIL(tasks, task, link);
    }
}

static bool open_is_due(const struct delivery *d, int64_t now_ms)
{
    return !d->items && d->whole.extend_at_ms <= now_ms;
}

/* As if it was paused meanwhile: so nobody has in its hand what is unpacked here. */
void open_due(struct hmq_consumer *c, int64_t now_ms)
{
    struct delivery *d;
    struct task *task;
    bool due = false;
    if (now_ms < c->next_extend_ms || c->state != CONSUMER_RUNNING)
        return;
    TAILQ_FOREACH(d, &c->deliveries, link)
        due = due || open_is_due(d, now_ms);
    if (!due)
        return;
    order_take_back(c, &c->parked);
    TAILQ_FOREACH(task, &c->parked, link)
        if (open_is_packed(open_held(task)) && open_is_due(open_held(task)->delivery, now_ms))
            delivery_unpack(open_held(task)->delivery);
    open_settle(&c->parked);
    if (!c->paused)
        order_resume(c);
}

bool open_whole(struct delivery *d)
{
    if (d->items || d->whole.offered)
        return true;
    delivery_unpack(d);
    return open_one(d);
}
