/*
 * produce.c: a closed batch as a request, and what becomes of it; see produce.h and lanes.h.
 *
 *   produce_leave ─► produce ─► {queue, offset, count}    each message has its id
 *          │                ─► refused, because of one message or because the broker knows no batches:
 *          │                       each message again, as a `send` with a DEDUP id of its own
 *          │                ─► another error: each message ends with it
 *          └─(a batch of one)─► send ─► an id
 *
 * A batch that was refused stored nothing, so its messages can be sent again without being stored twice. They
 * are sent before newer ones of their lane.
 */
#include "clients/c/roles/produce.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/logs.h"
#include "clients/c/roles/fit.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/message.h"
#include "clients/c/wire/request.h"
#include "clients/c/wire/unpack.h"
#include "protocol/base/text.h"

static void produce_done(struct call *call, const struct call_outcome *outcome);

static void produce_call_init(struct batch_call *b, struct lanes *lanes, struct lane *lane,
                              int64_t deadline_ms)
{
    *b = (struct batch_call){.lanes = lanes, .lane = lane};
    call_init(&b->call, client_id(lanes->sender->client), produce_done);
    b->call.deadline_ms = deadline_ms;
    b->call.owner = lanes->sender;
    b->call.kind = CALL_INNER; /* its messages are counted by their producer */
}

static void produce_call_free(struct batch_call *b)
{
    call_fini(&b->call);
    free(b->listeners);
    free(b);
}

/* Puts the record into the frame of a `produce`. */
static void produce_encode_batch(struct batch_call *b, struct slice record)
{
    struct sender *s = b->lanes->sender;
    struct buf *frame = &b->call.frame;
    const struct lane *lane = b->lane;
    char dedup[DEDUP_SIZE];
    request_begin(&b->call, "produce", 2u + (lane->queue >= 0) + s->dedup);
    pair_text(frame, "topic", lane->topic);
    if (lane->queue >= 0)
        pair_int(frame, "queue", lane->queue);
    if (s->dedup) {
        sender_dedup(s, dedup);
        pair_text(frame, "dedup", dedup);
    }
    pair_bin(frame, "batch", record.data, record.len);
    b->record_bytes = record.len;
    s->n_batches++;
    b->call.keep = true; /* where the batch is refused, its messages are taken from it */
    if (s->dedup)
        b->call.repeat = lane->queue < 0 ? CALL_AGAIN_BUSY : CALL_AGAIN;
}

/* Puts message i of an unpacked batch into the frame of a `send`. */
static enum hmq_status produce_encode_send(struct batch_call *b, const struct hmq_batch *batch, size_t i)
{
    hmq_send_options o;
    struct parcel parcel;
    fit_parcel(hmq_batch_at(batch, i), &o, &parcel);
    return parcel_encode(b->lanes->sender, &parcel, &b->call, NULL);
}

static enum hmq_status produce_unpack_lane(const struct lane *lane, struct slice record,
                                           struct hmq_batch **ret_batch)
{
    struct origin from = {.topic = slice_str(lane->topic)};
    return unpack_record(record, &from, ret_batch);
}

static enum hmq_status produce_encode(struct batch_call *b, struct slice record)
{
    struct hmq_batch *batch = NULL;
    if (b->n > 1) {
        produce_encode_batch(b, record);
        return HMQ_OK;
    }
    enum hmq_status status = produce_unpack_lane(b->lane, record, &batch);
    if (status == HMQ_OK)
        status = produce_encode_send(b, batch, 0);
    hmq_batch_free(batch);
    return status;
}

void produce_leave(struct lanes *lanes, struct lane *lane)
{
    struct record_header h = {.count = (uint32_t)lane->n};
    struct batch_call *b = lane->spare;
    assert(b);
    lane->spare = NULL;
    produce_call_init(b, lanes, lane, lane->deadline_ms);
    b->n = lane->n;
    b->bytes = lane->bytes;
    b->opened_us = lane->opened_us;
    b->listeners = lane->listeners;
    record_end(&lane->record, &lane->starts, &h);
    enum hmq_status status = lane->record.failed ? HMQ_ENOMEM : produce_encode(b, buf_slice(&lane->record));
    lane->listeners = NULL;
    lane->n = lane->size = 0;
    lane->due_ms = CORE_NEVER;
    buf_reset(&lane->record, 4 * LANES_BYTES);
    buf_reset(&lane->starts, 4 * LANES_COUNT);
    lanes->n_open--;
    lanes_submit_in_turn(lanes, b, status);
}

enum hmq_status produce_alone(struct lanes *lanes, struct lane *lane, struct call *from, struct listener listener)
{
    struct batch_call *b = malloc(sizeof *b);
    struct listener *listeners = malloc(sizeof *listeners);
    if (!b || !listeners) {
        free(b);
        free(listeners);
        return HMQ_ENOMEM;
    }
    produce_call_init(b, lanes, lane, from->deadline_ms);
    b->call.id = from->id; /* it is in the frame */
    b->call.repeat = from->repeat;
    b->call.frame = from->frame;
    buf_init(&from->frame, 0);
    listeners[0] = listener;
    b->listeners = listeners;
    b->n = 1;
    b->bytes = b->call.frame.len;
    b->opened_us = clock_us();
    lanes_submit_in_turn(lanes, b, HMQ_OK);
    return HMQ_OK;
}

/* ---- answers ---- */

/* The end of done(): counts its messages out and frees the call. */
static void produce_finish(struct batch_call *b)
{
    struct lanes *lanes = b->lanes;
    struct sender *s = lanes->sender;
    size_t n = b->n, bytes = b->bytes;
    struct lane *lane = b->lane;
    produce_call_free(b);
    pthread_mutex_lock(&s->lock);
    lanes_answered(lanes, lane);
    if (n > 0)
        sender_unreserve_locked(s, n, bytes);
    pthread_mutex_unlock(&s->lock); /* from here on the sender may be gone */
}

static void produce_tell_all(struct batch_call *b, const hmq_error *err)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->listeners[i].fn)
            b->listeners[i].fn(b->listeners[i].arg, NULL, err);
}

struct places {
    int64_t queue;
    uint64_t offset;
};

/* False: the reply does not say where the messages are stored. */
static bool produce_places(const struct batch_call *b, const struct rpc_value *result, struct places *ret_places)
{
    int64_t offset, count;
    if (!rpc_int(rpc_get(result, "queue"), &ret_places->queue) || !rpc_int(rpc_get(result, "offset"), &offset) ||
        !rpc_int(rpc_get(result, "count"), &count) || (size_t)count != b->n)
        return false;
    ret_places->offset = (uint64_t)offset;
    return true;
}

/* Adds one to the decimal number from digits to end; true: it has become a digit longer. */
static bool produce_next_number(char *digits, char *end)
{
    char *at = end;
    while (at > digits && at[-1] == '9')
        *--at = '0';
    if (at > digits) {
        at[-1]++;
        return false;
    }
    memmove(digits + 1, digits, (size_t)(end - digits) + 1);
    *digits = '1';
    return true;
}

/* Tells each message its id. */
static void produce_tell_places(struct batch_call *b, const struct places *p, const hmq_error *err)
{
    char id[HMQ_ID_SIZE];
    int head = snprintf(id, sizeof id, "%.134s:%" PRId64 ":", b->lane->topic, p->queue);
    int len = head + snprintf(id + head, sizeof id - (size_t)head, "%" PRIu64, p->offset);
    for (size_t i = 0; i < b->n; i++) {
        if (b->listeners[i].fn)
            b->listeners[i].fn(b->listeners[i].arg, id, err);
        len += produce_next_number(id + head, id + len);
    }
}

static bool produce_id(const struct rpc_value *result, char *ret_id)
{
    struct slice bytes;
    if (!rpc_bytes(result, &bytes) || bytes.len >= HMQ_ID_SIZE)
        return false;
    snprintf(ret_id, HMQ_ID_SIZE, "%.*s", (int)bytes.len, (const char *)bytes.data);
    return true;
}

static bool produce_begins_with(struct slice s, struct slice head)
{
    return s.len >= head.len && slice_equal(slice_of(s.data, head.len), head);
}

/* Under the lock: sends message i of the batch by itself. False: no memory. */
static bool produce_resend_one(struct batch_call *b, const struct hmq_batch *batch, size_t i)
{
    size_t share = b->bytes / (b->n - i);
    struct batch_call *one = malloc(sizeof *one);
    if (!one)
        return false;
    produce_call_init(one, b->lanes, b->lane, b->call.deadline_ms);
    one->listeners = malloc(sizeof *one->listeners);
    if (!one->listeners || produce_encode_send(one, batch, i) != HMQ_OK) {
        produce_call_free(one);
        return false;
    }
    one->listeners[0] = b->listeners[i];
    one->n = 1;
    one->bytes = share;
    one->opened_us = b->opened_us;
    b->bytes -= share;
    lanes_submit(one->lanes, one, HMQ_OK);
    return true;
}

/* Sends each message of a refused batch by itself; b keeps those for which there was no memory. unknown: the broker
 * does not know `produce`. */
static void produce_resend(struct batch_call *b, bool unknown)
{
    struct lanes *lanes = b->lanes;
    struct slice frame = buf_slice(&b->call.frame), record;
    struct hmq_batch *batch = NULL;
    record = slice_of(frame.data + frame.len - b->record_bytes, b->record_bytes);
    if (produce_unpack_lane(b->lane, record, &batch) != HMQ_OK)
        return;
    pthread_mutex_lock(&lanes->sender->lock);
    lanes->plain = lanes->plain || unknown;
    if (b->lane->queue >= 0)
        partition_forget(&lanes->partitions, b->lane->topic);
    size_t i = 0;
    while (i < b->n && produce_resend_one(b, batch, i))
        i++;
    pthread_mutex_unlock(&lanes->sender->lock);
    memmove(b->listeners, b->listeners + i, (b->n - i) * sizeof *b->listeners);
    b->n -= i;
    hmq_batch_free(batch);
}

static void produce_done(struct call *call, const struct call_outcome *outcome)
{
    struct batch_call *b = (struct batch_call *)(void *)call; /* the call is its first member */
    struct sender *s = b->lanes->sender;
    hmq_error err;
    struct places places;
    char id[HMQ_ID_SIZE];
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    bool batch = b->record_bytes > 0;
    bool refused = batch && (status == HMQ_EREFUSED || status == HMQ_ETOOBIG);
    if (refused && sender_is_closing(s)) {
        status = error_plain(&err, HMQ_ECLOSED);
    } else if (refused) {
        logs_say(s->client, HMQ_LOG_WARNING, "a batch of %zu messages to %.134s is sent one by one: %s", b->n,
                 b->lane->topic, err.text);
        produce_resend(b, produce_begins_with(outcome->text, SLICE_LIT("unknown command")));
        status = error_plain(&err, HMQ_ENOMEM); /* for those that b kept */
    }
    if (status == HMQ_OK && !(batch ? produce_places(b, outcome->result, &places) : produce_id(outcome->result, id)))
        status = error_set(&err, HMQ_EPROTO, "the broker's reply is not the place of the messages");
    if (b->n > 0)
        sender_record(s, b->n, status, b->opened_us, client_heard_us(s->client));
    sender_tell(s, true);
    if (status != HMQ_OK)
        produce_tell_all(b, &err);
    else if (batch)
        produce_tell_places(b, &places, &err);
    else if (b->listeners[0].fn)
        b->listeners[0].fn(b->listeners[0].arg, id, &err);
    sender_tell(s, false);
    produce_finish(b);
}
