/*
 * consumer_pop.c: asks for messages with POP, one request at a time; see consumer_pop.h.
 */
#include "clients/c/consumer/consumer_pop.h"

#include "clients/c/consumer/consumer_flow.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_take.h"
#include "clients/c/consumer/consumer_window.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"
#include "protocol/limits.h"

static enum hmq_status pop_copy(const struct hmq_consumer *c, const struct rpc_value *result, struct hmq_batch **ret_batch)
{
    struct memory *memory = client_memory(c->client);
    size_t bytes = reply_size(result) + rpc_len(result) * (sizeof(struct hmq_message) + 2 * HMQ_ID_SIZE);
    if (!memory_take(memory, bytes, true))
        return HMQ_ENOMEM;
    struct hmq_reply *reply = reply_copy(result);
    enum hmq_status status = reply ? batch_of(reply, ret_batch) : HMQ_ENOMEM;
    if (status == HMQ_OK) {
        (*ret_batch)->memory = memory;
        (*ret_batch)->taken = bytes;
        return HMQ_OK;
    }
    hmq_reply_free(reply);
    memory_give(memory, bytes);
    return status;
}

static void pop_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct hmq_batch *batch = NULL;
    struct delivery *d = NULL;
    enum hmq_status status = o->status;
    flow_trouble(c, "pop", o->status, o->text);
    if (status == HMQ_OK)
        status = pop_copy(c, o->result, &batch);
    if (status == HMQ_OK && !(d = delivery_new(c, batch, false))) {
        hmq_batch_free(batch);
        status = HMQ_ENOMEM;
    }
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    if (d)
        status = take_delivery(d);
    if (status == HMQ_OK)
        window_ask_worked(c);
    else
        window_ask_failed(c);
    flow_end(f);
}

/* More is asked for only when half of the window is free, so that one request brings many. */
static void pop_pump(struct hmq_consumer *c)
{
    size_t n = window_room(c);
    if (n == 0 && !c->fetch_open)
        window_starved(c);
    if (c->fetch_open || !consumer_wants_more(c) || n == 0 || (c->n_held - c->n_outside) * 2 > c->window ||
        clock_ms() < c->fetch_after_ms)
        return;
    struct flow_call *f = flow_call(c, pop_done);
    if (f) {
        f->call.deadline_ms += c->wait_ms;
        request_begin(&f->call, "pop", 5);
        pair_text(&f->call.frame, "group", c->group);
        pair_texts(&f->call.frame, "topic", (const char *const *)c->topics, c->n_topics);
        pair_int(&f->call.frame, "count", (int64_t)(n < COUNT_MAX ? n : COUNT_MAX));
        pair_int(&f->call.frame, "wait", c->wait_ms);
        pair_int(&f->call.frame, "lease", c->lease_ms);
    }
    c->fetch_open = true;
    if (!f || !flow_submit(f)) {
        c->fetch_open = false;
        window_ask_failed(c);
    }
}

const struct consumer_source pop_source = {pop_pump};
