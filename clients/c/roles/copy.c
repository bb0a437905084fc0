/*
 * copy.c: encodes the copies of a batch; see copy.h.
 *
 * Times in the record are relative, as it says of itself that it is stored at 0: the broker adds the time when it stores
 * it. What only the broker may set (transaction, dead letter's origin, priority) is left out.
 */
#include "clients/c/roles/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/roles/fit.h"
#include "clients/c/roles/outgoing.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"
#include "protocol/record/record.h"

struct copy {
    struct hmq_client *client;
    const char *topic;
    int64_t now_ms;
    struct buf record, starts, props;
};

static enum hmq_status copy_add(struct copy *c, const struct hmq_message *from, const hmq_send_options *o, size_t i,
                                hmq_error *err)
{
    struct message m;
    buf_reset(&c->props, PROPS_BYTES_MAX);
    if (!fit_copy(from, o, c->now_ms, &c->props, &m))
        return c->props.failed ? error_plain(err, HMQ_ENOMEM)
                               : error_set(err, HMQ_EINVAL, "message %zu of the batch has what no message may have", i);
    m.seq = i;
    record_add(&c->record, &c->starts, &m, 0);
    return HMQ_OK;
}

/* The interceptors see the copy, and what properties they set it has. */
static enum hmq_status copy_add_traced(struct copy *c, const struct hmq_message *from, size_t i, struct copy_trace *trace,
                                       hmq_error *err)
{
    struct hmq_outgoing out;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct parcel parcel = {.method = "produce", .topic = c->topic, .options = &o};
    o.like = from;
    parcel.body = hmq_message_body(from, &parcel.len);
    enum hmq_status status = outgoing_begin(&out, c->client, &parcel, err);
    if (status != HMQ_OK)
        return status;
    trace->spans[trace->n++] = out.spans;
    status = copy_add(c, from, parcel.options, i, err);
    outgoing_fini(&out);
    return status;
}

static enum hmq_status copy_add_all(struct copy *c, const struct hmq_batch *batch, struct copy_trace *trace,
                                    hmq_error *err)
{
    enum hmq_status status = HMQ_OK;
    if (intercept_wanted(c->client)) {
        trace->spans = calloc(batch->n, sizeof *trace->spans);
        if (!trace->spans)
            return error_plain(err, HMQ_ENOMEM);
    }
    for (size_t i = 0; i < batch->n && status == HMQ_OK; i++) {
        hmq_send_options o = HMQ_SEND_OPTIONS;
        o.like = &batch->items[i];
        status = trace->spans ? copy_add_traced(c, &batch->items[i], i, trace, err)
                              : copy_add(c, &batch->items[i], &o, i, err);
    }
    return status;
}

static enum hmq_status copy_end(struct copy *c, const struct hmq_batch *batch, hmq_error *err)
{
    struct record_header h = {.count = (uint32_t)batch->n};
    record_end(&c->record, &c->starts, &h);
    if (c->record.failed)
        return error_plain(err, HMQ_ENOMEM);
    if (c->record.len > BATCH_BYTES_MAX)
        return error_set(err, HMQ_ETOOBIG, "a batch of %zu bytes: at most %ld", c->record.len, BATCH_BYTES_MAX);
    return HMQ_OK;
}

static void copy_put_frame(struct sender *s, const char *topic, int32_t queue, struct slice record, struct call *call)
{
    char dedup[DEDUP_SIZE];
    request_begin(call, "produce", 2u + (queue >= 0) + s->dedup);
    pair_text(&call->frame, "topic", topic);
    if (queue >= 0)
        pair_int(&call->frame, "queue", queue);
    if (s->dedup) {
        sender_dedup(s, dedup);
        pair_text(&call->frame, "dedup", dedup);
        call->repeat = queue < 0 ? CALL_AGAIN_BUSY : CALL_AGAIN; /* others must not overtake it in its queue */
    }
    pair_bin(&call->frame, "batch", record.data, record.len);
}

enum hmq_status copy_encode(struct sender *s, const char *topic, int32_t queue, const struct hmq_batch *batch,
                            struct call *call, struct copy_trace *trace, hmq_error *err)
{
    struct copy c = {.client = s->client, .topic = topic, .now_ms = clock_unix_ms()};
    if (!topic || !batch || batch->n == 0)
        return error_set(err, HMQ_EINVAL, "a batch to send needs a topic and a message");
    if (batch->n > BATCH_COUNT_MAX)
        return error_set(err, HMQ_ETOOBIG, "a batch of %zu messages: at most %d", batch->n, BATCH_COUNT_MAX);
    buf_init(&c.record, 0);
    buf_init(&c.starts, 0);
    buf_init(&c.props, 0);
    record_begin(&c.record);
    enum hmq_status status = copy_add_all(&c, batch, trace, err);
    if (status == HMQ_OK)
        status = copy_end(&c, batch, err);
    if (status == HMQ_OK) {
        copy_put_frame(s, topic, queue, buf_slice(&c.record), call);
        if (call->frame.failed)
            status = error_plain(err, HMQ_ENOMEM);
    }
    buf_free(&c.record);
    buf_free(&c.starts);
    buf_free(&c.props);
    return status;
}

void copy_trace_end(struct copy_trace *trace, struct hmq_client *c, const char *topic, const hmq_reply *reply,
                    const hmq_error *err)
{
    char id[HMQ_ID_SIZE];
    uint64_t first = reply_uint(hmq_reply_get(reply, "offset"));
    unsigned queue = (unsigned)reply_uint(hmq_reply_get(reply, "queue"));
    for (size_t i = 0; i < trace->n; i++) {
        snprintf(id, sizeof id, "%.134s:%u:%" PRIu64, topic, queue, first + i);
        outgoing_end(c, &trace->spans[i], reply ? id : NULL, err);
    }
    free(trace->spans);
}
