/*
 * consumer_stream.c: opens a consumer's stream, gives it credit, takes its records and closes it; see
 * consumer_stream.h.
 *
 *   none ──stream_group──► open ◄── credit, as messages are done ──┐
 *    ▲ ▲                    │ records ─► taken ────────────────────┘
 *    │ └── pause ◄──────────┤ stream_end; a record is damaged, or there is no memory for it
 *    │                      │ draining, paused: stream_close, and a ping whose reply comes after all records
 *    └── another connection ┘
 *
 * A stream belongs to its connection: on the next one, its number may be another stream's. So whatever names
 * it is a notification that is dropped with the connection (respond.h), never a request that is sent again.
 *
 * Invariant: stream or given_up is not 0 while the broker may send records. Those of `stream` are held, or
 * requeued; those of `given_up` are redelivered when their leases expire.
 */
#include "clients/c/consumer/consumer_stream.h"

#include "clients/c/client/respond.h"
#include "clients/c/consumer/consumer_flow.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_pop.h"
#include "clients/c/consumer/consumer_take.h"
#include "clients/c/consumer/consumer_window.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/request.h"
#include "protocol/limits.h"

static struct hmq_consumer *stream_owner(struct service *s)
{
    return (struct hmq_consumer *)(void *)s; /* the service is its first member */
}

/* ---- opening ---- */

static bool stream_is_refused(const struct call_outcome *o)
{
    struct slice unknown = SLICE_LIT("unknown command");
    if (o->status == HMQ_ELIMIT)
        return true;
    return o->status == HMQ_EREFUSED && o->text.len >= unknown.len &&
           slice_equal(slice_of(o->text.data, unknown.len), unknown);
}

/* On the driver thread, so the stream belongs to the connection of client_epoch(). */
static void stream_opened(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    int64_t id = 0;
    bool pops = stream_is_refused(o);
    if (!pops)
        flow_trouble(c, "stream", o->status, o->text);
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    if (o->status == HMQ_OK && rpc_int(o->result, &id) && id > 0) {
        c->stream = id;
        c->stream_epoch = client_epoch(c->client);
        window_ask_worked(c);
    } else if (pops) {
        c->source = &pop_source;
        c->credit = 0;
    } else {
        c->credit = 0;
        window_ask_failed(c);
    }
    flow_end(f);
}

static void stream_open(struct hmq_consumer *c)
{
    size_t n = window_room(c);
    if (n == 0)
        window_starved(c);
    if (c->fetch_open || clock_ms() < c->fetch_after_ms || n == 0)
        return;
    struct flow_call *f = flow_call(c, stream_opened);
    if (f) {
        f->call.opens_stream = true;
        request_begin(&f->call, "stream_group", 4);
        pair_text(&f->call.frame, "group", c->group);
        pair_texts(&f->call.frame, "topic", (const char *const *)c->topics, c->n_topics);
        pair_int(&f->call.frame, "credit", (int64_t)n);
        pair_int(&f->call.frame, "lease", c->lease_ms);
    }
    c->fetch_open = true;
    if (!f || !flow_submit(f)) {
        c->fetch_open = false;
        window_ask_failed(c);
        return;
    }
    c->credit = n;
}

/* ---- credit ---- */

static bool stream_tell(struct hmq_consumer *c, const char *method, int64_t stream, int64_t n)
{
    return respond_stream(c->client, c->stream_epoch, method, stream, n);
}

/* Credit is given for many messages at once: a quarter of the window. */
static size_t stream_credit_least(const struct hmq_consumer *c)
{
    return (c->window + 3) / 4;
}

/* How many messages it is given for now. Beyond COUNT_MAX only so many that the broker need not take a few by themselves. */
static size_t stream_credit_due(const struct hmq_consumer *c, size_t least)
{
    size_t n = window_room(c);
    if (n < least && n < c->n_acks)
        return 0; /* there is room for more when these are handed over, which is soon */
    return n < COUNT_MAX ? n : n - n % COUNT_MAX;
}

static void stream_give_credit(struct hmq_consumer *c)
{
    size_t least = stream_credit_least(c);
    if (c->n_held - c->n_outside + c->credit + least > c->window)
        return;
    size_t n = stream_credit_due(c, least);
    if (n > 0 && stream_tell(c, "stream_credit", c->stream, (int64_t)n))
        c->credit += n;
    else if (n > 0)
        window_ask_failed(c); /* the tick after the pause tries again */
    else
        window_starved(c);
}

/* ---- closing ---- */

static void stream_closed(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    (void)o; /* in any case the stream is closed, or its connection is lost */
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    c->stream = 0;
    c->credit = 0;
    flow_end(f);
}

/* The broker replies in order: once the ping is answered, no record of the stream can come. */
static void stream_close(struct hmq_consumer *c)
{
    if (c->fetch_open)
        return;
    if (!respond_lives(c->client, c->stream_epoch)) {
        c->stream = 0;
        return;
    }
    struct flow_call *f = flow_call(c, stream_closed);
    if (f)
        request_begin(&f->call, "ping", 0);
    bool told = f && stream_tell(c, "stream_close", c->stream, -1);
    if (f && !told)
        flow_drop(f);
    c->fetch_open = told;
    if (!told || !flow_submit(f)) {
        c->fetch_open = false;
        window_ask_failed(c);
    }
}

/* Closes a stream that was given up; another one is opened only after that. */
static bool stream_close_given_up(struct hmq_consumer *c)
{
    bool told =
        !respond_lives(c->client, c->stream_epoch) || stream_tell(c, "stream_close", c->given_up, -1);
    if (told)
        c->given_up = 0;
    else if (clock_ms() >= c->fetch_after_ms)
        window_ask_failed(c); /* the tick after the pause tries again */
    return told;
}

static void stream_pump(struct hmq_consumer *c)
{
    if (c->given_up && !stream_close_given_up(c))
        return;
    if (!consumer_wants_more(c) && c->stream)
        stream_close(c);
    else if (c->stream)
        stream_give_credit(c);
    else if (consumer_wants_more(c))
        stream_open(c);
}

const struct consumer_source stream_source = {stream_pump};

/* ---- what the broker says ---- */

void stream_connected(struct service *s)
{
    struct hmq_consumer *c = stream_owner(s);
    pthread_mutex_lock(&c->lock);
    c->stream = c->given_up = 0;
    c->source = c->first_source; /* it may be another broker */
    c->group_topic = 0;
    c->group_set = false;
    if (!c->fetch_open)
        c->credit = 0;
    service_kick(c->client, s);
    bool tell_closer = c->state != CONSUMER_RUNNING;
    pthread_mutex_unlock(&c->lock);
    if (tell_closer)
        client_changed(c->client);
}

static enum hmq_status stream_arrive(struct hmq_consumer *c, bool asked, const struct rpc_value *params,
                                     struct delivery **ret_delivery)
{
    struct slice record;
    struct origin from = {0};
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
    return delivery_come(c, record, &from, asked, ret_delivery);
}

/* Under the lock: ends this stream; another one is opened after a pause. by_broker: it need not be closed. */
static void stream_give_up(struct hmq_consumer *c, bool by_broker)
{
    if (!by_broker)
        c->given_up = c->stream;
    c->stream = 0;
    c->credit = 0;
    window_ask_failed(c);
}

void stream_failed(struct hmq_consumer *c, int64_t stream, uint32_t epoch)
{
    if (stream == c->stream && epoch == c->stream_epoch)
        stream_give_up(c, false);
}

/* The lock is free while a record is copied, or even unpacked: the workers go on. */
static void stream_take_records(struct hmq_consumer *c, int64_t stream, const struct rpc_value *params)
{
    struct delivery *d = NULL;
    pthread_mutex_lock(&c->lock);
    bool asked = c->credit > 0;
    pthread_mutex_unlock(&c->lock);
    enum hmq_status status = stream_arrive(c, asked, params, &d);
    if (d) {
        d->arrival.stream = stream;
        d->arrival.epoch = client_epoch(c->client);
        if (c->ordered) /* the keys are read in the order in which they came */
            delivery_unpack(d);
    }
    pthread_mutex_lock(&c->lock);
    if (d) {
        c->credit -= d->n < c->credit ? d->n : c->credit;
        status = take_delivery(d);
    }
    if (status != HMQ_OK) {
        stream_give_up(c, false);
        c->pump(c);
    }
    pthread_mutex_unlock(&c->lock); /* the tick at the end of the turn pumps */
    if (status == HMQ_EPROTO)
        client_event(c->client, HMQ_EVENT_TROUBLE, STREAM_DAMAGED);
}

static void stream_end(struct hmq_consumer *c, const struct rpc_value *params)
{
    const struct rpc_value *error = rpc_get(params, "error");
    struct slice code = SLICE_LIT("ERR"), text = SLICE_LIT("it ended");
    (void)rpc_bytes(rpc_at(error, 0), &code);
    (void)rpc_bytes(rpc_at(error, 1), &text);
    flow_trouble(c, "stream", error_from_code(code), text);
    pthread_mutex_lock(&c->lock);
    stream_give_up(c, true);
    bool tell_closer = c->state != CONSUMER_RUNNING;
    pthread_mutex_unlock(&c->lock);
    if (tell_closer)
        client_changed(c->client);
}

bool stream_notify(struct service *s, struct slice method, const struct rpc_value *params)
{
    struct hmq_consumer *c = stream_owner(s);
    int64_t id;
    if (!rpc_int(rpc_get(params, "stream"), &id))
        return false;
    pthread_mutex_lock(&c->lock);
    bool ours = c->stream == id && c->stream_epoch == client_epoch(c->client);
    pthread_mutex_unlock(&c->lock);
    if (!ours)
        return false;
    if (slice_equal(method, SLICE_LIT("records")))
        stream_take_records(c, id, params);
    else if (slice_equal(method, SLICE_LIT("stream_end")))
        stream_end(c, params);
    return true;
}
