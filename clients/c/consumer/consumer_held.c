/*
 * consumer_held.c: deliveries, and the messages in them that are held; see consumer_held.h.
 *
 *   a batch ──► delivery_new ─────────────────────────────────┐
 *   a record ─► delivery_come ─► WHOLE ─► delivery_unpack ─► delivery_open ─► items
 *               (copied)                  (by a worker)      (under the lock)
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
#include "protocol/limits.h"
#include "protocol/record/record.h"

#define RECEIPT_SIZE (HMQ_ID_SIZE + 24)
#define AVERAGE_OVER 64 /* messages: (7/8)^64 is below a thousandth */

/* Of n items, with what an ordered consumer knows of them besides. */
static size_t held_items_size(const struct hmq_consumer *c, size_t n)
{
    return n * (sizeof(struct held) + (c->ordered ? sizeof(struct turn) : 0));
}

/* In a block of this size. */
static struct delivery held_delivery(struct hmq_consumer *c, size_t n, size_t size)
{
    int64_t now_ms = clock_ms();
    struct delivery d = {.consumer = c, .users = n, .n = n, .memory = client_memory(c->client), .size = size};
    d.came_ms = now_ms;
    d.give_up_ms = now_ms + c->max_lease_ms;
    d.whole = (struct held){.lease_until_ms = now_ms + c->lease_ms,
                            .extend_at_ms = now_ms + c->lease_ms / 2,
                            .state = HELD_WHOLE,
                            .offered = true};
    return d;
}

static void held_add_turns(struct delivery *d, struct held *items)
{
    for (size_t i = 0; i < d->n; i++) {
        d->turns[i] = (struct turn){.held = &items[i]};
        TAILQ_INIT(&d->turns[i].followers);
    }
}

/* The messages of d->batch, in this place. Returns their bytes. */
static size_t held_fill(struct delivery *d, struct held *items)
{
    struct hmq_batch *batch = d->batch;
    size_t each = d->n > 0 ? sizeof *items + (d->turns ? sizeof *d->turns : 0) + batch_bytes_each(batch) : 0, all = 0;
    for (size_t i = 0; i < d->n; i++) {
        size_t bytes = each + message_bytes(&batch->items[i]);
        bytes = bytes < UINT32_MAX ? bytes : UINT32_MAX;
        items[i] = (struct held){.delivery = d,
                                 .lease_until_ms = d->whole.lease_until_ms,
                                 .extend_at_ms = d->whole.extend_at_ms,
                                 .index = batch->items[i].index,
                                 .bytes = (uint32_t)bytes,
                                 .state = HELD_WAITING};
        all += bytes;
    }
    if (d->turns)
        held_add_turns(d, items);
    batch->holder = d;
    return all;
}

static struct turn *held_turns(const struct hmq_consumer *c, struct held *items, size_t n)
{
    return c->ordered ? (struct turn *)(void *)(items + n) : NULL;
}

struct delivery *delivery_new(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges)
{
    size_t size = sizeof(struct delivery) + held_items_size(c, batch->n);
    struct delivery *d = memory_block(client_memory(c->client), &size, true);
    if (!d)
        return NULL;
    *d = held_delivery(c, batch->n, size);
    d->whole.delivery = d;
    d->items = (struct held *)(void *)(d + 1);
    d->turns = held_turns(c, d->items, d->n);
    d->batch = batch;
    d->ranges = ranges;
    d->bytes = held_fill(d, d->items);
    return d;
}

/* ---- records ---- */

/* Copies these bytes to `at`; returns where they end. */
static uint8_t *held_copy(struct slice *s, uint8_t *at)
{
    if (s->len > 0)
        memcpy(at, s->data, s->len);
    s->data = at;
    return at + s->len;
}

/* The delivery's block has room for all of that. */
static void held_copy_arrival(struct delivery *d, struct slice record, const struct origin *from)
{
    struct packed_record *a = &d->arrival;
    a->record = record;
    a->from = *from;
    a->from.memory = d->memory;
    a->from.asked = a->from.reuse = true;
    uint8_t *at = held_copy(&a->from.topic, (uint8_t *)(d + 1));
    *at++ = '\0';
    if (from->bits.len > 0)
        at = held_copy(&a->from.bits, at);
    if (!d->frame)
        held_copy(&a->record, at);
}

enum hmq_status delivery_come(struct hmq_consumer *c, struct slice record, const struct origin *from, bool asked,
                              struct delivery **ret_delivery)
{
    struct memory *memory = client_memory(c->client);
    struct record_header head;
    if (from->topic.len > SYSTEM_NAME_BYTES_MAX || record_header_read(record, &head) != ST_OK)
        return HMQ_EPROTO;
    size_t n = unpack_wanted(from->bits, head.count), size = sizeof(struct delivery) + from->topic.len + 1 + from->bits.len;
    if (n == 0)
        return HMQ_EPROTO;
    size_t frame_size = 0, more = held_items_size(c, n) + n * unpack_bytes_each(from, n);
    asked = asked || memory_used(memory) == 0; /* a single one, whatever its size */
    void *frame = client_take_block(c->client, asked, &frame_size);
    size += frame ? 0 : record.len;
    struct delivery *d = memory_block(memory, &size, asked);
    if (!d || !memory_take(memory, more, asked)) {
        if (d)
            memory_block_give(memory, d, size);
        if (frame)
            memory_block_give(memory, frame, frame_size);
        return HMQ_ENOMEM;
    }
    *d = held_delivery(c, n, size);
    d->frame = frame;
    d->frame_size = frame_size;
    d->ranges = true;
    d->whole.delivery = d;
    d->bytes = d->arrival.least = head.bytes + more;
    d->arrival.reserved = more;
    held_copy_arrival(d, record, from);
    *ret_delivery = d;
    return HMQ_OK;
}

static void held_unreserve(struct delivery *d)
{
    if (d->arrival.reserved > 0)
        memory_give(d->memory, d->arrival.reserved);
    d->arrival.reserved = 0;
}

/* d->unpacked, of d->batch. False: no memory. */
static bool held_unpack_items(struct delivery *d)
{
    size_t size = held_items_size(d->consumer, d->n);
    struct held *items = memory_block(d->memory, &size, true);
    if (!items)
        return false;
    d->items_size = size;
    d->unpacked = items;
    d->turns = held_turns(d->consumer, items, d->n);
    d->arrival.bytes = held_fill(d, items);
    return true;
}

void delivery_unpack(struct delivery *d)
{
    struct packed_record *a = &d->arrival;
    a->tried = true;
    held_unreserve(d); /* what was asked for may take more than the limit: nobody can be in its way */
    a->status = unpack_in_place(a->record, &a->from, &d->batch);
    if (a->status == HMQ_OK && !held_unpack_items(d))
        a->status = HMQ_ENOMEM;
}

void delivery_release(struct delivery *d)
{
    assert(d->users > 0);
    if (--d->users > 0)
        return;
    TAILQ_REMOVE(&d->consumer->deliveries, d, link);
    held_unreserve(d);
    hmq_batch_free(d->batch);
    if (d->unpacked)
        memory_block_give(d->memory, d->unpacked, d->items_size);
    if (d->frame)
        memory_block_give(d->memory, d->frame, d->frame_size);
    memory_block_give(d->memory, d, d->size);
}

/* Of earlier messages than the last ones, an average that forgets has forgotten all. */
static void held_average(struct hmq_consumer *c, const struct delivery *d)
{
    for (size_t i = d->n > AVERAGE_OVER ? d->n - AVERAGE_OVER : 0; i < d->n; i++)
        c->average_bytes = (c->average_bytes * 7 + d->bytes / d->n) / 8;
}

void held_begin(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    if (d->n > 0 && c->n_held == c->n_outside)
        c->window_ms += d->came_ms - c->idle_ms;
    TAILQ_INSERT_TAIL(&c->deliveries, d, link);
    if (!d->items)
        d->bytes += d->n * c->rich_bytes;
    c->n_held += d->n;
    c->held_bytes += d->bytes;
    c->stats.received += d->n;
    held_average(c, d);
    if (d->n > 0 && d->whole.extend_at_ms < c->next_extend_ms)
        c->next_extend_ms = d->whole.extend_at_ms;
}

/* None of its messages was ever seen: as if it had not come. */
static void held_forget(struct delivery *d)
{
    struct hmq_consumer *c = d->consumer;
    c->n_held -= d->n;
    c->held_bytes -= d->bytes;
    c->stats.received -= d->n;
    if (c->n_held == c->n_outside)
        c->idle_ms = clock_ms();
    d->users -= d->n - 1;
    delivery_release(d);
}

/* What its messages take is known now. */
static void held_correct(struct delivery *d)
{
    const struct packed_record *a = &d->arrival;
    struct hmq_consumer *c = d->consumer;
    bool more = a->bytes > d->bytes;
    c->held_bytes += a->bytes - d->bytes; /* it wraps where it becomes less */
    c->rich_bytes = a->bytes > a->least ? (a->bytes - a->least) / d->n : 0;
    d->bytes = a->bytes;
    if (more)
        held_average(c, d);
}

bool delivery_open(struct delivery *d)
{
    if (d->arrival.status != HMQ_OK) {
        held_forget(d);
        return false;
    }
    d->items = d->unpacked;
    held_correct(d);
    return true;
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

void held_left_window(struct hmq_consumer *c, size_t n)
{
    c->n_outside += n;
    window_released(c, n);
}

void held_keep(struct held *h)
{
    h->state = HELD_KEPT;
    held_left_window(h->delivery->consumer, !h->left_window);
    h->left_window = true;
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
