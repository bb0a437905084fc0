/*
 * consumer_pop.c: asking for messages with POP, one request at a time; see consumer.h. For a broker without
 * streams, or with no stream left for us.
 */
#include "clients/c/roles/consumer.h"
#include "protocol/limits.h"

static void pop_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    struct hmq_batch *batch = NULL;
    enum hmq_status status = o->status;
    flow_trouble(c, "pop", o->status, o->text);
    if (status == HMQ_OK) {
        struct hmq_reply *reply = reply_copy(o->result);
        status = reply ? batch_of(reply, &batch) : HMQ_ENOMEM;
        if (status != HMQ_OK)
            hmq_reply_free(reply);
    }
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    if (status == HMQ_OK) {
        status = take_batch(c, batch, false);
        if (status != HMQ_OK)
            hmq_batch_free(batch);
    }
    if (status == HMQ_OK)
        fetch_worked(c);
    else
        fetch_failed(c);
    flow_end(f);
}

/* Half of the room is free before more is asked for, so that a request brings many. */
void pop_pump(struct hmq_consumer *c)
{
    size_t n = take_room(c);
    if (c->fetch_open || c->draining || n == 0 || c->n_held * 2 > c->window ||
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
        fetch_failed(c);
    }
}
