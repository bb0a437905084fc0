/*
 * consumer_take.c: hands messages that came to the workers; see consumer_take.h.
 */
#include "clients/c/consumer/consumer_take.h"

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_verdict.h"

/* Those of the first n messages that may be handled next, each by itself. */
static size_t take_admitted(struct delivery *d, size_t n, struct task_list *tasks)
{
    struct hmq_consumer *c = d->consumer;
    size_t admitted = 0;
    d->whole.state = HELD_GONE;
    d->next = d->n;
    for (size_t i = 0; i < n; i++) {
        struct held *h = &d->items[i];
        if (c->ordered && !order_admits(h))
            continue;
        h->offered = true;
        TAILQ_INSERT_TAIL(tasks, &h->task, link);
        admitted++;
    }
    return admitted;
}

/* Hands the first n messages to the workers. */
static void take_wanted(struct delivery *d, size_t n)
{
    struct hmq_consumer *c = d->consumer;
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    if (n == d->n && n > 0 && !c->ordered) {
        TAILQ_INSERT_TAIL(&tasks, &d->whole.task, link);
        n = 1;
    } else {
        n = take_admitted(d, n, &tasks);
    }
    if (n > 0)
        order_start_later(c, &tasks, n);
}

/* Its messages are needed one by one. The delivery may be freed. */
static enum hmq_status take_open(struct delivery *d)
{
    if (!d->arrival.tried)
        delivery_unpack(d);
    enum hmq_status status = d->arrival.status;
    (void)delivery_open(d);
    return status;
}

enum hmq_status take_delivery(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    size_t room = c->state == CONSUMER_RUNNING && c->n_held < c->prefetch ? c->prefetch - c->n_held : 0;
    size_t wanted = d->n < room ? d->n : room;
    held_begin(d);
    enum hmq_status status = !d->items && (c->ordered || wanted < d->n) ? take_open(d) : HMQ_OK;
    if (status != HMQ_OK)
        return status;
    d->users++; /* until all are queued: each message may be gone before the next one is looked at */
    take_wanted(d, wanted);
    for (size_t i = wanted; i < d->n; i++)
        verdict_return(&d->items[i]);
    delivery_release(d);
    service_at(c->client, &c->service, c->next_extend_ms);
    return HMQ_OK;
}
