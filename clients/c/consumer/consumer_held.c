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
#include <string.h>

#include "clients/c/consumer/consumer_window.h"

#define RECEIPT_SIZE (HMQ_ID_SIZE + 24)

struct delivery *delivery_new(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    size_t bytes = sizeof(struct delivery) + batch->n * sizeof(struct held), size = bytes;
    struct memory *memory = client_memory(c->client);
    struct delivery *d = memory_block(memory, &size, true);
    if (!d)
        return NULL;
    memset(d, 0, bytes);
    d->memory = memory;
    d->size = size;
    d->consumer = c;
    d->batch = batch;
    d->ranges = ranges;
    d->users = d->n = batch->n;
    return d;
}

void delivery_release(struct delivery *d)
{
    assert(d->users > 0);
    if (--d->users > 0)
        return;
    hmq_batch_free(d->batch);
    memory_block_give(d->memory, d, d->size);
}

struct held *held_begin(struct delivery *d, size_t i, int64_t now_ms)
{
    struct hmq_consumer *c = d->consumer;
    struct held *h = &d->items[i];
    if (c->n_held == c->n_kept)
        c->window_ms += now_ms - c->idle_ms;
    h->delivery = d;
    h->m = &d->batch->items[i];
    h->offset = hmq_message_offset(h->m);
    d->batch->items[i].holder = h;
    TAILQ_INIT(&h->followers);
    h->bytes = message_bytes(h->m);
    h->lease_until_ms = now_ms + c->lease_ms;
    h->give_up_ms = now_ms + c->max_lease_ms;
    TAILQ_INSERT_TAIL(&c->held, h, link);
    c->n_held++;
    c->held_bytes += h->bytes;
    c->average_bytes = (c->average_bytes * 7 + h->bytes) / 8;
    c->stats.received++;
    held_extend_at(h, now_ms + c->lease_ms / 2);
    return h;
}

void held_release(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    TAILQ_REMOVE(&c->held, h, link);
    c->n_held--;
    c->held_bytes -= h->bytes;
    if (h->left_window)
        c->n_kept--;
    else
        window_released(c);
    h->state = HELD_GONE;
    h->m = NULL;
    delivery_release(h->delivery);
}

void held_keep(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    h->state = HELD_KEPT;
    h->left_window = true;
    c->n_kept++;
    window_released(c);
}

struct held *held_next(struct held *h)
{
    struct delivery *d = h->delivery;
    struct held *next = h + 1;
    if (!d->ranges || next == d->items + d->n || !h->m || !next->m)
        return NULL;
    return next->offset == h->offset + 1 ? next : NULL;
}

void held_put_receipt(struct buf *b, const struct held *h, size_t n)
{
    char text[RECEIPT_SIZE];
    const struct hmq_message *m = h->m;
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
