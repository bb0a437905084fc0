/*
 * consumer_take.c: hands messages that came to the workers; see consumer_take.h.
 */
#include "clients/c/consumer/consumer_take.h"

#include <assert.h>

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_verdict.h"

/* Hands the first n messages to the workers. */
static void take_wanted(struct delivery *d, size_t n)
{
    struct hmq_consumer *c = d->consumer;
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    size_t admitted = 0;
    for (size_t i = 0; i < n; i++) {
        struct held *h = &d->items[i];
        if (c->ordered && !order_admits(h)) {
            h->offered = false;
            continue;
        }
        TAILQ_INSERT_TAIL(&tasks, &h->task, link);
        admitted++;
    }
    order_start(c, &tasks, admitted);
    assert(TAILQ_EMPTY(&tasks)); /* the workers have room for as many as it may hold */
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
