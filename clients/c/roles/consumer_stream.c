/*
 * consumer_stream.c: a consumer's stream; see consumer.h.
 *
 *   none ──stream_group──► open ◄── credit, as messages are done ──┐
 *    ▲ ▲                    │ records ─► taken ────────────────────┘
 *    │ └── pause ◄──────────┤ stream_end, a record that is damaged or finds no memory
 *    │                      │ draining: stream_close, and a ping whose answer comes after all records
 *    └── another connection ┘
 *
 * A stream belongs to its connection: on the next one its number may be somebody else's. So what names it
 * is a notification that is dropped with the connection (respond.h), never a request that is sent again.
 *
 * Invariant: stream or given_up is not 0 while the broker may send records. Those of `stream` are held, or
 * given back; those of `given_up` are left to the ends of their leases.
 */
#include "clients/c/roles/consumer.h"

#include <stdlib.h>

#include "clients/c/client/respond.h"

static struct hmq_consumer *consumer_of(struct service *s)
{
    return (struct hmq_consumer *)(void *)s; /* the service is its first member */
}

/* ---- opening ---- */

static bool has_no_stream(const struct call_outcome *o)
{
    struct slice unknown = SLICE_LIT("unknown command");
    if (o->status == HMQ_ELIMIT)
        return true;
    return o->status == HMQ_EREFUSED && o->text.len >= unknown.len &&
           slice_equal(slice_of(o->text.data, unknown.len), unknown);
}

/* On the driver thread, so it is this connection that the stream belongs to. */
static void open_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    int64_t id = 0;
    bool pops = has_no_stream(o);
    if (!pops)
        flow_trouble(c, "stream", o->status, o->text);
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    if (o->status == HMQ_OK && rpc_int(o->result, &id) && id > 0) {
        c->stream = id;
        c->stream_epoch = client_epoch(c->client);
        fetch_worked(c);
    } else if (pops) {
        c->pops = true;
        c->credit = 0;
    } else {
        c->credit = 0;
        fetch_failed(c);
    }
    flow_end(f);
}

static void open_stream(struct hmq_consumer *c)
{
    size_t n = take_room(c);
    if (c->fetch_open || clock_ms() < c->fetch_after_ms || n == 0)
        return;
    struct flow_call *f = flow_call(c, open_done);
    if (f) {
        request_begin(&f->call, "stream_group", 4);
        pair_text(&f->call.frame, "group", c->group);
        pair_texts(&f->call.frame, "topic", (const char *const *)c->topics, c->n_topics);
        pair_int(&f->call.frame, "credit", (int64_t)n);
        pair_int(&f->call.frame, "lease", c->lease_ms);
    }
    c->fetch_open = true;
    if (!f || !flow_submit(f)) {
        c->fetch_open = false;
        fetch_failed(c);
        return;
    }
    c->credit = n;
}

/* ---- credit ---- */

static bool tell(struct hmq_consumer *c, const char *method, int64_t stream, int64_t n)
{
    return respond_stream(c->client, c->stream_epoch, method, stream, n);
}

/* A quarter of the window is free before credit is given, so that it is given for many. */
static void give_credit(struct hmq_consumer *c)
{
    if ((c->n_held + c->credit) * 4 > c->window * 3)
        return;
    size_t n = take_room(c);
    if (n > 0 && tell(c, "stream_credit", c->stream, (int64_t)n))
        c->credit += n;
    else if (n > 0)
        fetch_failed(c); /* the tick after the pause comes here again */
}

/* ---- closing ---- */

static void close_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    (void)o; /* whatever it was: the stream is closed, or its connection is gone */
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    c->stream = 0;
    c->credit = 0;
    flow_end(f);
}

/* Answers come in the order of the requests: after that of the ping no record can. */
static void close_stream(struct hmq_consumer *c)
{
    if (c->fetch_open)
        return;
    if (!respond_lives(c->client, c->stream_epoch)) {
        c->stream = 0;
        return;
    }
    struct flow_call *f = flow_call(c, close_done);
    if (f)
        request_begin(&f->call, "ping", 0);
    bool told = f && tell(c, "stream_close", c->stream, -1);
    if (f && !told) {
        call_fini(&f->call);
        free(f);
    }
    c->fetch_open = told;
    if (!told || !flow_submit(f)) {
        c->fetch_open = false;
        fetch_failed(c);
    }
}

/* Tells the broker of a stream that was given up; until it knows, there is no other one. */
static bool close_given_up(struct hmq_consumer *c)
{
    bool told =
        !respond_lives(c->client, c->stream_epoch) || tell(c, "stream_close", c->given_up, -1);
    if (told)
        c->given_up = 0;
    else if (clock_ms() >= c->fetch_after_ms)
        fetch_failed(c); /* the tick after the pause comes here again */
    return told;
}

void stream_pump(struct hmq_consumer *c)
{
    if (c->given_up && !close_given_up(c))
        return;
    if (c->draining && c->stream)
        close_stream(c);
    else if (c->stream)
        give_credit(c);
    else if (!c->draining)
        open_stream(c);
}

/* ---- what the broker says ---- */

void stream_connected(struct service *s)
{
    struct hmq_consumer *c = consumer_of(s);
    pthread_mutex_lock(&c->lock);
    c->stream = c->given_up = 0;
    c->pops = false; /* it may be another broker */
    if (!c->fetch_open)
        c->credit = 0;
    service_kick(c->client, s);
    bool tell_closer = c->draining;
    pthread_mutex_unlock(&c->lock);
    if (tell_closer)
        client_changed(c->client);
}

static enum hmq_status unpack(const struct rpc_value *params, struct hmq_batch **ret_batch)
{
    struct slice record;
    struct origin from = {.attempt = 0};
    int64_t queue, attempt;
    if (!rpc_bytes(rpc_get(params, "record"), &record) ||
        !rpc_bytes(rpc_get(params, "topic"), &from.topic) ||
        !rpc_int(rpc_get(params, "queue"), &queue) || queue < 0 || queue > UINT32_MAX ||
        !rpc_int(rpc_get(params, "attempt"), &attempt) || attempt < 1 || attempt > UINT32_MAX ||
        !rpc_int(rpc_get(params, "lease_until"), &from.lease_until_ms))
        return HMQ_EPROTO;
    from.queue = (uint32_t)queue;
    from.attempt = (uint32_t)attempt;
    if (rpc_get(params, "bits") && !rpc_bytes(rpc_get(params, "bits"), &from.bits))
        return HMQ_EPROTO;
    return batch_of_record(record, &from, ret_batch);
}

/* Under the lock: this stream cannot go on; another one will, after a pause. */
static void give_stream_up(struct hmq_consumer *c, bool by_broker)
{
    if (!by_broker)
        c->given_up = c->stream;
    c->stream = 0;
    c->credit = 0;
    fetch_failed(c);
}

static void take_records(struct hmq_consumer *c, const struct rpc_value *params)
{
    struct hmq_batch *batch = NULL;
    enum hmq_status status = unpack(params, &batch);
    pthread_mutex_lock(&c->lock);
    size_t n = batch ? batch->n : 0;
    if (status == HMQ_OK)
        status = take_batch(c, batch, true);
    if (status == HMQ_OK) {
        c->credit -= n < c->credit ? n : c->credit;
    } else {
        if (batch)
            hmq_batch_free(batch);
        give_stream_up(c, false);
    }
    flow_pump(c);
    pthread_mutex_unlock(&c->lock);
    if (status == HMQ_EPROTO)
        client_event(c->client, HMQ_EVENT_TROUBLE, "stream: a record that came is damaged");
}

static void end_stream(struct hmq_consumer *c, const struct rpc_value *params)
{
    const struct rpc_value *error = rpc_get(params, "error");
    struct slice code = SLICE_LIT("ERR"), text = SLICE_LIT("it ended");
    (void)rpc_bytes(rpc_at(error, 0), &code);
    (void)rpc_bytes(rpc_at(error, 1), &text);
    flow_trouble(c, "stream", error_from_code(code), text);
    pthread_mutex_lock(&c->lock);
    give_stream_up(c, true);
    bool tell_closer = c->draining;
    pthread_mutex_unlock(&c->lock);
    if (tell_closer)
        client_changed(c->client);
}

bool stream_notify(struct service *s, struct slice method, const struct rpc_value *params)
{
    struct hmq_consumer *c = consumer_of(s);
    int64_t id;
    if (!rpc_int(rpc_get(params, "stream"), &id))
        return false;
    pthread_mutex_lock(&c->lock);
    bool ours = c->stream == id && c->stream_epoch == client_epoch(c->client);
    pthread_mutex_unlock(&c->lock);
    if (!ours)
        return false;
    if (slice_equal(method, SLICE_LIT("records")))
        take_records(c, params);
    else if (slice_equal(method, SLICE_LIT("stream_end")))
        end_stream(c, params);
    return true;
}
