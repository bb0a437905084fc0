/*
 * consumer_take.c: hands messages that came to the workers; see consumer_take.h.
 */
#include "clients/c/consumer/consumer_take.h"

#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/wire/clock.h"

enum hmq_status take_batch(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    struct delivery *d = delivery_new(c, batch, ranges);
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    struct task *task;
    int64_t now_ms = clock_ms();
    if (!d)
        return HMQ_ENOMEM;
    d->users++; /* until all are queued: each message may be gone before the next one is looked at */
    for (size_t i = 0; i < d->n; i++) {
        struct held *h = held_begin(d, i, now_ms);
        TAILQ_INSERT_TAIL(&tasks, &h->task, link);
    }
    if (d->n > 0 && c->state == CONSUMER_RUNNING)
        workers_push_all(&c->workers, &tasks, d->n);
    while ((task = TAILQ_FIRST(&tasks))) {
        TAILQ_REMOVE(&tasks, task, link);
        verdict_return((struct held *)(void *)task); /* the task is its first member */
    }
    delivery_release(d);
    service_at(c->client, &c->service, c->next_extend_ms);
    return HMQ_OK;
}
