/*
 * consumer_held.c: deliveries, and the messages in them that are held; see consumer_held.h.
 *
 * Invariant: delivery.users counts its messages that are held, and the EXTEND requests that name them: the
 * reply to such a request refers to the messages where they are.
 */
#include "clients/c/consumer/consumer_held.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "clients/c/consumer/consumer_window.h"
#include "clients/c/wire/clock.h"

#define RECEIPT_SIZE (HMQ_ID_SIZE + 24)
#define AVERAGE_OVER 64 /* messages: (7/8)^64 is below a thousandth */

static struct delivery *held_alloc_delivery(struct hmq_consumer *c, size_t n)
{
    size_t bytes = sizeof(struct delivery) + n * sizeof(struct held);
    size_t size = bytes + (c->ordered ? n * sizeof(struct turn) : 0);
    struct memory *memory = client_memory(c->client);
    struct delivery *d = memory_block(memory, &size, true);
    if (!d)
        return NULL;
    *d = (struct delivery){.consumer = c, .memory = memory, .size = size, .users = n, .n = n};
    if (c->ordered)
        d->turns = (struct turn *)(void *)((char *)d + bytes);
    return d;
}

static void held_add_turn(struct delivery *d, size_t i)
{
    d->turns[i] = (struct turn){.held = &d->items[i]};
    TAILQ_INIT(&d->turns[i].followers);
}

struct delivery *delivery_new(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    struct delivery *d = held_alloc_delivery(c, batch->n);
    if (!d)
        return NULL;
    d->batch = batch;
    d->ranges = ranges;
    d->came_ms = clock_ms();
    d->give_up_ms = d->came_ms + c->max_lease_ms;
    struct held held = {.delivery = d,
                        .lease_until_ms = d->came_ms + c->lease_ms,
                        .extend_at_ms = d->came_ms + c->lease_ms / 2,
                        .offered = true};
    size_t each = d->n > 0 ? sizeof held + (d->turns ? sizeof *d->turns : 0) + batch_bytes_each(batch) : 0;
    TAILQ_INIT(&d->tasks);
    for (size_t i = 0; i < d->n; i++) {
        size_t bytes = each + message_bytes(&batch->items[i]);
        held.index = batch->items[i].index;
        held.bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
        d->bytes += held.bytes;
        d->items[i] = held;
        if (d->turns)
            held_add_turn(d, i);
        else
            TAILQ_INSERT_TAIL(&d->tasks, &d->items[i].task, link);
    }
    batch->holder = d;
    return d;
}

void delivery_release(struct delivery *d)
{
    assert(d->users > 0);
    if (--d->users > 0)
        return;
    TAILQ_REMOVE(&d->consumer->deliveries, d, link);
    hmq_batch_free(d->batch);
    memory_block_give(d->memory, d, d->size);
}

/* Of earlier messages than the last ones, an average that forgets has forgotten all. */
static void held_average(struct hmq_consumer *c, const struct delivery *d)
{
    for (size_t i = d->n > AVERAGE_OVER ? d->n - AVERAGE_OVER : 0; i < d->n; i++)
        c->average_bytes = (c->average_bytes * 7 + d->items[i].bytes) / 8;
}

void held_begin(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    if (d->n > 0 && c->n_held == c->n_outside)
        c->window_ms += d->came_ms - c->idle_ms;
    TAILQ_INSERT_TAIL(&c->deliveries, d, link);
    c->n_held += d->n;
    c->held_bytes += d->bytes;
    c->stats.received += d->n;
    held_average(c, d);
    if (d->n > 0 && d->items[0].extend_at_ms < c->next_extend_ms)
        c->next_extend_ms = d->items[0].extend_at_ms;
}

struct held *held_of(const struct hmq_message *m)
{
    struct delivery *d = m->batch->holder;
    return d ? &d->items[message_number(m)] : NULL;
}

void held_release_run(struct held *h, size_t n)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    size_t bytes = 0, outside = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += h[i].bytes;
        outside += h[i].left_window;
        h[i].state = HELD_GONE;
        h[i].queued = false;
    }
    c->n_held -= n;
    c->held_bytes -= bytes;
    c->n_outside -= outside;
    window_released(c, n - outside);
    d->users -= n - 1;
    delivery_release(d);
}

void held_release(struct held *h)
{
    held_release_run(h, 1);
}

void held_leave_window(struct held *h, size_t n)
{
    struct hmq_consumer *c = h->delivery->consumer;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        left += !h[i].left_window;
        h[i].left_window = true;
    }
    c->n_outside += left;
    window_released(c, left);
}

void held_keep(struct held *h)
{
    h->state = HELD_KEPT;
    held_leave_window(h, 1);
}

struct held *held_next(struct held *h)
{
    struct delivery *d = h->delivery;
    struct held *next = h + 1;
    return d->ranges && next < d->items + d->n && next->index == h->index + 1 ? next : NULL;
}

struct held *held_before(struct held *h)
{
    struct held *before = h - 1;
    return h > h->delivery->items && held_next(before) == h ? before : NULL;
}

void held_put_receipt(struct buf *b, const struct held *h, size_t n)
{
    char text[RECEIPT_SIZE];
    const struct hmq_message *m = held_message(h);
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

void held_extend_at(struct held *h, int64_t at_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    h->extend_at_ms = at_ms;
    if (at_ms < c->next_extend_ms)
        c->next_extend_ms = at_ms;
}
