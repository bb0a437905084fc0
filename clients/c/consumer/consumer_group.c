/*
 * consumer_group.c: makes the consumer's group ORDERED; see consumer_group.h.
 *
 *   for each topic:  GROUP CREATE ... ORDERED ─┬─ OK ────────────────────────────────► the next topic
 *                                              ├─ EXISTS ─► GROUP SET ... ORDERED ──────► the next topic
 *                                              ├─ no such topic, busy, no connection: again after a pause
 *                                              └─ refused (an older broker, no right to): the order is kept here alone
 *
 * On a later connection only GROUP CREATE is sent, for a group that is gone: somebody may have switched ORDERED off since,
 * and that stands.
 */
#include "clients/c/consumer/consumer_group.h"

#include "clients/c/consumer/consumer_flow.h"
#include "clients/c/consumer/consumer_stream.h"
#include "clients/c/consumer/consumer_window.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/request.h"

/* Under the lock: the topic is done. */
static void group_next(struct hmq_consumer *c)
{
    c->group_set = false;
    if (++c->group_topic < c->n_topics)
        return;
    c->group_ordered = true;
    c->source = &stream_source;
    window_ask_worked(c);
}

/* Under the lock. True: the application is to be told. */
static bool group_refused(struct hmq_consumer *c, enum hmq_status status)
{
    if (status == HMQ_EEXISTS && !c->group_set && c->group_ordered) {
        group_next(c);
        return false;
    }
    if (status == HMQ_EEXISTS && !c->group_set) {
        c->group_set = true;
        return false;
    }
    bool later = status < HMQ_EREFUSED || hmq_status_retryable(status) || status == HMQ_ENOTOPIC || status == HMQ_ENOGROUP;
    c->group_set = false;
    if (later)
        window_ask_failed(c);
    else
        c->source = &stream_source;
    return true;
}

static void group_done(struct call *call, const struct call_outcome *o)
{
    struct flow_call *f = flow_of(call);
    struct hmq_consumer *c = f->consumer;
    bool tell = false;
    pthread_mutex_lock(&c->lock);
    c->fetch_open = false;
    if (o->status == HMQ_OK)
        group_next(c);
    else
        tell = group_refused(c, o->status);
    pthread_mutex_unlock(&c->lock);
    if (tell)
        flow_trouble(c, "ordered=yes", o->status, o->text); /* the call counts until flow_end: the consumer stays */
    pthread_mutex_lock(&c->lock);
    flow_end(f);
}

static void group_pump(struct hmq_consumer *c)
{
    if (c->fetch_open || !consumer_wants_more(c) || clock_ms() < c->fetch_after_ms)
        return;
    struct flow_call *f = flow_call(c, group_done);
    if (f) {
        request_begin(&f->call, c->group_set ? "group_set" : "group_create", 3);
        pair_text(&f->call.frame, "group", c->group);
        pair_text(&f->call.frame, "topic", c->topics[c->group_topic]);
        pair_text(&f->call.frame, "ordered", "yes");
        f->call.repeat = c->group_set ? CALL_AGAIN_BUSY : CALL_ONCE;
    }
    c->fetch_open = true;
    if (!f || !flow_submit(f)) {
        c->fetch_open = false;
        window_ask_failed(c);
    }
}

const struct consumer_source group_source = {group_pump};
