/*
 * consumer_take.c: hands messages that came to the workers; see consumer_take.h.
 */
#include "clients/c/consumer/consumer_take.h"

#include <assert.h>

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/wire/clock.h"

enum hmq_status take_batch(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    struct delivery *d = delivery_new(c, batch, ranges);
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks), refused = TAILQ_HEAD_INITIALIZER(refused);
    struct task *task;
    int64_t now_ms = clock_ms();
    if (!d)
        return HMQ_ENOMEM;
    d->users++; /* until all are queued: each message may be gone before the next one is looked at */
    for (size_t i = 0; i < d->n; i++) {
        struct held *h = held_begin(d, i, now_ms);
        bool wanted = c->state == CONSUMER_RUNNING && c->n_held <= c->prefetch;
        if (!wanted)
            TAILQ_INSERT_TAIL(&refused, &h->task, link);
        else if (order_admits(h))
            TAILQ_INSERT_TAIL(&tasks, &h->task, link);
    }
    order_start(c, &tasks);
    assert(TAILQ_EMPTY(&tasks)); /* the workers have room for as many as it may hold */
    while ((task = TAILQ_FIRST(&refused))) {
        TAILQ_REMOVE(&refused, task, link);
        verdict_return((struct held *)(void *)task); /* the task is its first member */
    }
    delivery_release(d);
    service_at(c->client, &c->service, c->next_extend_ms);
    return HMQ_OK;
}
