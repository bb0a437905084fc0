/*
 * producer.c: the producer of plain messages, which sends them one by one (sender.h) or in batches (lanes.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/roles/copy.h"
#include "clients/c/roles/fit.h"
#include "clients/c/roles/headers.h"
#include "clients/c/roles/outgoing.h"
#include "clients/c/roles/produce.h"
#include "clients/c/wire/reply.h"

struct hmq_producer {
    struct sender sender;
    struct lanes lanes;
};

static void producer_push_gathered(struct sender *s)
{
    struct hmq_producer *p = (struct hmq_producer *)(void *)s; /* the sender is its first member */
    pthread_mutex_lock(&p->sender.lock);
    lanes_close(&p->lanes, NULL);
    pthread_mutex_unlock(&p->sender.lock);
}

enum hmq_status hmq_producer_new(hmq_client *c, const hmq_options *options,
                                 hmq_producer **ret_producer, hmq_error *err)
{
    if (!c || !ret_producer)
        return error_set(err, HMQ_EINVAL, "a producer needs a client and ret_producer");
    struct hmq_producer *p = calloc(1, sizeof *p);
    if (!p)
        return error_plain(err, HMQ_ENOMEM);
    if (!options)
        options = client_options(c);
    enum hmq_status status = sender_init(&p->sender, c, options, err);
    if (status != HMQ_OK) {
        free(p);
        return status;
    }
    lanes_init(&p->lanes, &p->sender, options, produce_leave);
    p->sender.push = producer_push_gathered;
    client_hold(c);
    lanes_start(&p->lanes);
    sender_show(&p->sender, STATS_PRODUCER);
    *ret_producer = p;
    return error_none(err);
}

static struct parcel producer_parcel(const char *topic, const void *body, size_t len,
                                     const hmq_send_options *options)
{
    return (struct parcel){
        .method = "send", .topic = topic, .body = body, .len = len, .options = options};
}

static enum hmq_status producer_copy_id(const hmq_reply *reply, char *ret_id, hmq_error *err)
{
    const char *id = hmq_reply_text(reply);
    if (!id || strlen(id) >= HMQ_ID_SIZE)
        return error_set(err, HMQ_EPROTO, "the broker's reply to a send is not a message id");
    snprintf(ret_id, HMQ_ID_SIZE, "%s", id);
    return HMQ_OK;
}

static enum hmq_status producer_send_waiting(hmq_producer *p, const struct parcel *parcel, int64_t timeout_ms, char *ret_id,
                                             hmq_error *err)
{
    struct awaited w;
    struct hmq_reply *reply = NULL;
    enum hmq_status status = sender_await_call(&p->sender, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    status = parcel_encode(&p->sender, parcel, &w.call, err);
    if (status != HMQ_OK)
        return awaited_drop(&w, status);
    pthread_mutex_lock(&p->sender.lock);
    lanes_close(&p->lanes, parcel->topic);
    pthread_mutex_unlock(&p->sender.lock);
    status = awaited_run(&w, ret_id ? &reply : NULL);
    if (status == HMQ_OK && ret_id)
        status = producer_copy_id(reply, ret_id, err);
    hmq_reply_free(reply);
    return status;
}

static enum hmq_status producer_send_traced(hmq_producer *p, struct parcel *parcel, int64_t timeout_ms, char *ret_id,
                                            hmq_error *err)
{
    struct hmq_client *c = p->sender.client;
    struct hmq_outgoing out;
    char id[HMQ_ID_SIZE];
    hmq_error own;
    if (!gate_enter(&p->sender.gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = outgoing_begin(&out, c, parcel, &own);
    if (status == HMQ_OK) {
        status = producer_send_waiting(p, parcel, timeout_ms, id, &own);
        outgoing_end(c, &out.spans, status == HMQ_OK ? id : NULL, &own);
        outgoing_fini(&out);
    }
    gate_leave(&p->sender.gate, c);
    if (status == HMQ_OK && ret_id)
        memcpy(ret_id, id, sizeof id);
    if (err)
        *err = own;
    return status;
}

enum hmq_status hmq_send(hmq_producer *p, const char *topic, const void *body, size_t len,
                         const hmq_send_options *options, int64_t timeout_ms, char *ret_id,
                         hmq_error *err)
{
    struct parcel parcel = producer_parcel(topic, body, len, options);
    if (!p)
        return error_set(err, HMQ_EINVAL, "the producer is NULL");
    return intercept_wanted(p->sender.client) ? producer_send_traced(p, &parcel, timeout_ms, ret_id, err)
                                              : producer_send_waiting(p, &parcel, timeout_ms, ret_id, err);
}

/* The caller is inside the gate. */
static enum hmq_status producer_copy(hmq_producer *p, const char *topic, int32_t queue, const hmq_batch *batch,
                                     int64_t timeout_ms, struct copy_trace *trace, hmq_reply **ret_reply, hmq_error *err)
{
    struct awaited w;
    enum hmq_status status = sender_await_call(&p->sender, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    status = copy_encode(&p->sender, topic, queue, batch, &w.call, trace, err);
    if (status != HMQ_OK)
        return awaited_drop(&w, status);
    pthread_mutex_lock(&p->sender.lock);
    lanes_close(&p->lanes, topic);
    pthread_mutex_unlock(&p->sender.lock);
    return awaited_run(&w, ret_reply);
}

enum hmq_status hmq_send_batch(hmq_producer *p, const char *topic, int32_t queue, const hmq_batch *batch,
                               int64_t timeout_ms, uint64_t *ret_offset, hmq_error *err)
{
    struct copy_trace trace = {0};
    struct hmq_reply *reply = NULL;
    hmq_error own;
    if (!p)
        return error_set(err, HMQ_EINVAL, "the producer is NULL");
    struct hmq_client *c = p->sender.client;
    if (!gate_enter(&p->sender.gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = producer_copy(p, topic, queue, batch, timeout_ms, &trace, &reply, &own);
    copy_trace_end(&trace, c, topic, reply, &own);
    gate_leave(&p->sender.gate, c);
    if (status == HMQ_OK && ret_offset)
        *ret_offset = reply_uint(hmq_reply_get(reply, "offset"));
    hmq_reply_free(reply);
    if (err)
        *err = own;
    return status;
}

static void producer_sent_done(struct call *call, const struct call_outcome *outcome)
{
    struct send_call *sc = (struct send_call *)(void *)call; /* the call is its first member */
    char id[HMQ_ID_SIZE];
    hmq_error err;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    struct slice bytes;
    if (status == HMQ_OK && rpc_bytes(outcome->result, &bytes) && bytes.len < sizeof id)
        snprintf(id, sizeof id, "%.*s", (int)bytes.len, (const char *)bytes.data);
    else if (status == HMQ_OK)
        status = error_set(&err, HMQ_EPROTO, "the broker's reply to a send is not a message id");
    sender_record(sc->sender, 1, status, call->begun_us, client_heard_us(sc->sender->client));
    sender_tell(sc->sender, true);
    if (sc->fn.sent)
        sc->fn.sent(sc->arg, status == HMQ_OK ? id : NULL, &err);
    sender_tell(sc->sender, false);
    sender_release(sc);
}

/* Under the lock: submits a call whose bytes are reserved, behind what is under way for its ORDER key. The
 * call is freed, or the broker's. */
static enum hmq_status producer_submit(hmq_producer *p, const char *topic, struct slice order, struct send_call *call,
                                       struct listener listener, hmq_error *err)
{
    struct sender *s = &p->sender;
    lanes_close(&p->lanes, topic);
    struct lane *busy = order.data ? lanes_busy(&p->lanes, topic, order) : NULL;
    size_t bytes = call->call.frame.len;
    enum hmq_status status = busy ? produce_alone(&p->lanes, busy, &call->call, listener)
                                  : client_submit(s->client, &call->call, s->linger_ms);
    if (status != HMQ_OK)
        sender_unreserve_locked(s, 1, bytes);
    if (status != HMQ_OK || busy) {
        call_fini(&call->call);
        free(call);
    }
    return error_plain(err, status);
}

/* Sends one message by itself, after closing the open batches of its topic. */
static enum hmq_status producer_send_single(hmq_producer *p, const struct parcel *parcel, struct slice order,
                                            int64_t deadline_ms, struct listener listener, hmq_error *err)
{
    struct sender *s = &p->sender;
    struct send_call *call = sender_call(s, 0, producer_sent_done, listener.arg);
    if (!call)
        return error_plain(err, HMQ_ENOMEM);
    call->fn.sent = listener.fn;
    call->call.deadline_ms = deadline_ms;
    enum hmq_status status = parcel_encode(s, parcel, &call->call, err);
    if (status == HMQ_OK) {
        status = sender_reserve(s, call->call.frame.len, deadline_ms);
        error_plain(err, status);
    }
    if (status != HMQ_OK) {
        call_fini(&call->call);
        free(call);
        return status;
    }
    pthread_mutex_lock(&p->sender.lock);
    status = producer_submit(p, parcel->topic, order, call, listener, err);
    pthread_mutex_unlock(&p->sender.lock);
    return status;
}

/* Adds it to a batch. HMQ_EAGAIN with *ret_single: it must go by itself. */
static enum hmq_status producer_send_gathered(hmq_producer *p, const struct parcel *parcel,
                                              struct message *m, int64_t deadline_ms, struct listener listener,
                                              bool *ret_single)
{
    struct lanes *lanes = &p->lanes;
    struct sender *s = &p->sender;
    size_t bytes = fit_bytes(m);
    *ret_single = false;
    pthread_mutex_lock(&s->lock);
    enum hmq_status status = sender_reserve_locked(s, bytes, deadline_ms);
    if (status == HMQ_OK) {
        status = lanes->plain ? HMQ_EAGAIN : lanes_add(lanes, parcel->topic, m, bytes, deadline_ms, listener);
        *ret_single = status == HMQ_EAGAIN;
        if (status != HMQ_OK)
            sender_unreserve_locked(s, 1, bytes);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

static enum hmq_status producer_send_any(hmq_producer *p, const struct parcel *parcel, int64_t deadline_ms,
                                         struct listener listener, hmq_error *err)
{
    hmq_send_options o;
    struct message m;
    struct buf props;
    enum hmq_status status = parcel_options(parcel, &o, err);
    if (status != HMQ_OK)
        return status;
    bool single = true;
    buf_init(&props, 0);
    if (fit_message(parcel, &o, &props, &m))
        status = producer_send_gathered(p, parcel, &m, deadline_ms, listener, &single);
    buf_free(&props);
    if (single)
        return producer_send_single(p, parcel, headers_of(&o).order, deadline_ms, listener, err);
    return error_plain(err, status);
}

static enum hmq_status producer_send_inside(hmq_producer *p, const struct parcel *parcel, int64_t timeout_ms,
                                            struct listener listener, hmq_error *err)
{
    struct message m;
    int64_t deadline_ms = client_deadline(p->sender.client, timeout_ms);
    bool single = true;
    enum hmq_status status = HMQ_OK;
    if (fit_bare(parcel, &m))
        status = producer_send_gathered(p, parcel, &m, deadline_ms, listener, &single);
    return single ? producer_send_any(p, parcel, deadline_ms, listener, err) : error_plain(err, status);
}

static enum hmq_status producer_send_traced_async(hmq_producer *p, struct parcel *parcel, int64_t timeout_ms,
                                                  struct listener listener, hmq_error *err)
{
    struct hmq_outgoing out;
    hmq_error own;
    enum hmq_status status = outgoing_begin(&out, p->sender.client, parcel, err);
    if (status != HMQ_OK)
        return status;
    struct outgoing_later *later = outgoing_later(&out, listener.fn, NULL, listener.arg);
    if (!later) {
        status = error_plain(&own, HMQ_ENOMEM);
        outgoing_end(p->sender.client, &out.spans, NULL, &own);
    } else {
        struct listener ours = {outgoing_sent, later};
        status = producer_send_inside(p, parcel, timeout_ms, ours, &own);
        if (status != HMQ_OK)
            outgoing_failed(later, &own);
    }
    outgoing_fini(&out);
    if (err)
        *err = own;
    return status;
}

enum hmq_status hmq_send_async(hmq_producer *p, const char *topic, const void *body, size_t len,
                               const hmq_send_options *options, int64_t timeout_ms, hmq_sent_fn fn,
                               void *arg, hmq_error *err)
{
    struct parcel parcel = producer_parcel(topic, body, len, options);
    struct listener listener = {fn, arg};
    if (!p)
        return error_set(err, HMQ_EINVAL, "the producer is NULL");
    struct hmq_client *c = p->sender.client;
    if (!sender_enter(&p->sender))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = intercept_wanted(c) ? producer_send_traced_async(p, &parcel, timeout_ms, listener, err)
                                                 : producer_send_inside(p, &parcel, timeout_ms, listener, err);
    sender_leave(&p->sender);
    return status;
}

enum hmq_status hmq_producer_flush(hmq_producer *p, int64_t timeout_ms, hmq_error *err)
{
    return sender_flush(&p->sender, timeout_ms, err);
}

enum hmq_status hmq_producer_stats_get(hmq_producer *p, hmq_producer_stats *stats)
{
    return sender_stats(&p->sender, stats);
}

enum hmq_status hmq_producer_close(hmq_producer *p, int64_t timeout_ms, hmq_error *err)
{
    if (!p)
        return error_none(err);
    struct hmq_client *c = p->sender.client;
    enum hmq_status status = sender_close(&p->sender, timeout_ms, err);
    if (status == HMQ_EWOULDBLOCK)
        return status;
    sender_forget(&p->sender);
    lanes_stop(&p->lanes);
    sender_fini(&p->sender);
    free(p);
    client_release(c);
    return status;
}
