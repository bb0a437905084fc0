/*
 * consumer_take.c: hands messages that came to the workers; see consumer_take.h.
 */
#include "clients/c/consumer/consumer_take.h"

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_verdict.h"

/* Those of the first n messages that may be handled next. */
static size_t take_admitted(struct delivery *d, size_t n, struct task_list *tasks)
{
    struct hmq_consumer *c = d->consumer;
    size_t admitted = 0;
    TAILQ_INIT(&d->tasks);
    for (size_t i = 0; i < n; i++) {
        struct held *h = &d->items[i];
        if (c->ordered && !order_admits(h)) {
            h->offered = false;
            continue;
        }
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
    if (n == d->n && !c->ordered)
        TAILQ_CONCAT(&tasks, &d->tasks, link);
    else
        n = take_admitted(d, n, &tasks);
    if (n > 0)
        order_start_later(c, &tasks, n);
}

void take_delivery(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    size_t room = c->state == CONSUMER_RUNNING && c->n_held < c->prefetch ? c->prefetch - c->n_held : 0;
    size_t wanted = d->n < room ? d->n : room;
    held_begin(d);
    d->users++; /* until all are queued: each message may be gone before the next one is looked at */
    take_wanted(d, wanted);
    for (size_t i = wanted; i < d->n; i++) {
        d->items[i].offered = false;
        verdict_return(&d->items[i]);
    }
    delivery_release(d);
    service_at(c->client, &c->service, c->next_extend_ms);
}
