/*
 * producer.c: sending plain messages; almost all of it is sender.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/sender.h"

struct hmq_producer {
    struct sender sender;
};

enum hmq_status hmq_producer_new(hmq_client *c, const hmq_options *options,
                                 hmq_producer **ret_producer, hmq_error *err)
{
    if (!c || !ret_producer)
        return error_set(err, HMQ_EINVAL, "a producer needs a client and a place to go");
    struct hmq_producer *p = calloc(1, sizeof *p);
    if (!p)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = sender_init(&p->sender, c, options ? options : c->options, err);
    if (status != HMQ_OK) {
        free(p);
        return status;
    }
    *ret_producer = p;
    return error_none(err);
}

static struct parcel parcel_of(const char *topic, const void *body, size_t len,
                               const hmq_send_options *options)
{
    return (struct parcel){
        .method = "send", .topic = topic, .body = body, .len = len, .options = options};
}

static enum hmq_status copy_id(const hmq_reply *reply, char *ret_id, hmq_error *err)
{
    const char *id = hmq_reply_text(reply);
    if (!id || strlen(id) >= HMQ_ID_SIZE)
        return error_set(err, HMQ_EPROTO, "the broker's answer to a send is not a message id");
    snprintf(ret_id, HMQ_ID_SIZE, "%s", id);
    return HMQ_OK;
}

enum hmq_status hmq_send(hmq_producer *p, const char *topic, const void *body, size_t len,
                         const hmq_send_options *options, int64_t timeout_ms, char *ret_id,
                         hmq_error *err)
{
    struct awaited w;
    struct hmq_reply *reply = NULL;
    struct parcel parcel = parcel_of(topic, body, len, options);
    if (!p)
        return error_set(err, HMQ_EINVAL, "no producer given");
    enum hmq_status status = awaited_init(&w, p->sender.client, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    status = sender_encode(&p->sender, &parcel, &w.call, err);
    if (status != HMQ_OK)
        return awaited_drop(&w, status);
    status = awaited_run(&w, ret_id ? &reply : NULL);
    if (status == HMQ_OK && ret_id)
        status = copy_id(reply, ret_id, err);
    hmq_reply_free(reply);
    return status;
}

static void sent_done(struct call *call, const struct outcome *outcome)
{
    struct send_call *sc = (struct send_call *)(void *)call; /* the call is its first member */
    char id[HMQ_ID_SIZE];
    hmq_error err;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    struct slice bytes;
    if (status == HMQ_OK && rpc_bytes(outcome->result, &bytes) && bytes.len < sizeof id)
        snprintf(id, sizeof id, "%.*s", (int)bytes.len, (const char *)bytes.data);
    else if (status == HMQ_OK)
        status = error_set(&err, HMQ_EPROTO, "the broker's answer to a send is not a message id");
    if (sc->fn.sent)
        sc->fn.sent(sc->arg, status == HMQ_OK ? id : NULL, &err);
    sender_release(sc);
}

enum hmq_status hmq_send_async(hmq_producer *p, const char *topic, const void *body, size_t len,
                               const hmq_send_options *options, int64_t timeout_ms, hmq_sent_fn fn,
                               void *arg, hmq_error *err)
{
    struct parcel parcel = parcel_of(topic, body, len, options);
    if (!p)
        return error_set(err, HMQ_EINVAL, "no producer given");
    struct send_call *call = sender_call(&p->sender, timeout_ms, sent_done, arg);
    if (!call)
        return error_plain(err, HMQ_ENOMEM);
    call->fn.sent = fn;
    enum hmq_status status = sender_encode(&p->sender, &parcel, &call->call, err);
    if (status != HMQ_OK) {
        call_fini(&call->call);
        free(call);
        return status;
    }
    return sender_submit(&p->sender, call, p->sender.linger_ms, err);
}

enum hmq_status hmq_producer_flush(hmq_producer *p, int64_t timeout_ms, hmq_error *err)
{
    return sender_flush(&p->sender, timeout_ms, err);
}

enum hmq_status hmq_producer_close(hmq_producer *p, int64_t timeout_ms, hmq_error *err)
{
    if (!p)
        return error_none(err);
    enum hmq_status status = sender_close(&p->sender, timeout_ms, err);
    if (status == HMQ_EWOULDBLOCK)
        return status;
    sender_fini(&p->sender);
    free(p);
    return status;
}
