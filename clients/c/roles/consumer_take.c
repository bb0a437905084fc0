/*
 * consumer_take.c: messages that came to a consumer, and how many more may come; see consumer.h.
 */
#include <stdlib.h>

#include "clients/c/roles/consumer.h"
#include "protocol/limits.h"

#define WINDOW_FIRST 16
#define WINDOW_LOOK 16 /* messages after which it may be seen to be too large */
#define WINDOW_FAST_MS 100 /* emptied in this time it doubles ... */
#define WINDOW_SLOW_MS 2000 /* ... and over this, emptied or not, it shrinks to a half */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 2000

static struct delivery *delivery_new(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    struct delivery *d = calloc(1, sizeof *d + batch->n * sizeof *d->items);
    if (!d)
        return NULL;
    d->consumer = c;
    d->batch = batch;
    d->ranges = ranges;
    d->users = d->n = batch->n;
    return d;
}

static void hold(struct held *h, struct delivery *d, const struct hmq_message *m, int64_t now_ms)
{
    struct hmq_consumer *c = d->consumer;
    if (c->n_held == 0)
        c->window_ms += now_ms - c->idle_ms;
    h->delivery = d;
    h->m = m;
    h->bytes = message_bytes(m);
    h->lease_until_ms = now_ms + c->lease_ms;
    h->give_up_ms = now_ms + c->max_lease_ms;
    TAILQ_INSERT_TAIL(&c->held, h, link);
    c->n_held++;
    c->held_bytes += h->bytes;
    c->average_bytes = (c->average_bytes * 7 + h->bytes) / 8;
    c->stats.received++;
    flow_extend_later(h, now_ms + c->lease_ms / 2);
}

enum hmq_status take_batch(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    struct delivery *d = delivery_new(c, batch, ranges);
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    struct task *task;
    int64_t now_ms = clock_ms();
    if (!d)
        return HMQ_ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        hold(&d->items[i], d, &batch->items[i], now_ms);
        TAILQ_INSERT_TAIL(&tasks, &d->items[i].task, link);
    }
    if (d->n > 0 && !c->draining)
        workers_push_all(&c->workers, &tasks, d->n);
    while ((task = TAILQ_FIRST(&tasks))) {
        TAILQ_REMOVE(&tasks, task, link);
        flow_return((struct held *)(void *)task);
    }
    if (batch->n == 0) {
        hmq_batch_free(batch);
        free(d);
    }
    service_at(c->client, &c->service, c->next_extend_ms);
    return HMQ_OK;
}

void take_begin(struct hmq_consumer *c)
{
    c->window = c->prefetch < WINDOW_FIRST ? c->prefetch : WINDOW_FIRST;
    c->window_ms = c->idle_ms = clock_ms();
}

static size_t grown(const struct hmq_consumer *c)
{
    return c->window * 2 < c->prefetch ? c->window * 2 : c->prefetch;
}

/* Not below what it began with. */
static size_t shrunk(const struct hmq_consumer *c)
{
    if (c->window <= WINDOW_FIRST)
        return c->window;
    return c->window / 2 > WINDOW_FIRST ? c->window / 2 : WINDOW_FIRST;
}

void take_done(struct hmq_consumer *c)
{
    bool emptied = ++c->window_done >= c->window;
    if (c->n_held == 0)
        c->idle_ms = clock_ms();
    if (!emptied && c->window_done % WINDOW_LOOK != 0)
        return;
    int64_t now_ms = clock_ms(), took_ms = now_ms - c->window_ms;
    if (took_ms > WINDOW_SLOW_MS)
        c->window = shrunk(c);
    else if (!emptied)
        return;
    else if (took_ms <= WINDOW_FAST_MS)
        c->window = grown(c);
    c->window_done = 0;
    c->window_ms = now_ms;
}

size_t take_room(const struct hmq_consumer *c)
{
    size_t taken = c->n_held + c->credit, bytes = c->held_bytes + c->credit * c->average_bytes;
    size_t by_count = c->window > taken ? c->window - taken : 0;
    size_t by_bytes =
        c->prefetch_bytes > bytes ? (c->prefetch_bytes - bytes) / c->average_bytes : 0;
    if (taken == 0)
        return by_bytes == 0 ? 1 : by_count < by_bytes ? by_count : by_bytes;
    return by_count < by_bytes ? by_count : by_bytes;
}

void fetch_failed(struct hmq_consumer *c)
{
    c->fetch_after_ms = clock_ms() + c->fetch_pause_ms;
    c->fetch_pause_ms *= 2;
    if (c->fetch_pause_ms > PAUSE_MAX_MS)
        c->fetch_pause_ms = PAUSE_MAX_MS;
    service_at(c->client, &c->service, c->fetch_after_ms);
}

void fetch_worked(struct hmq_consumer *c)
{
    c->fetch_pause_ms = PAUSE_FIRST_MS;
}
