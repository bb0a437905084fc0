/*
 * consumer_keep.c: messages that the application keeps and ends itself: hmq_message_keep, hmq_message_end and what a
 * handler may ask about its message.
 *
 * A message that was ended while its handler runs stays valid until that returns; consumer_run.c starts the next one of
 * its ORDER key then. Any other one is gone from here on, as soon as the broker has replied.
 */
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_run.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/wire/clock.h"

/* NULL: it is none of a consumer's. Otherwise the consumer is locked. */
static struct held *keep_lock(const hmq_message *m)
{
    struct held *h = m ? held_of(m) : NULL;
    if (h)
        pthread_mutex_lock(&h->delivery->consumer->lock);
    return h;
}

enum hmq_status hmq_message_keep(const hmq_message *m, hmq_error *err)
{
    struct held *h = keep_lock(m);
    if (!h)
        return error_set(err, HMQ_EINVAL, "only a message of a handler can be kept");
    struct hmq_consumer *c = h->delivery->consumer;
    bool runs = h->state == HELD_RUNNING;
    h->kept = h->kept || runs;
    pthread_mutex_unlock(&c->lock);
    return runs ? error_none(err) : error_set(err, HMQ_EINVAL, "the message was ended, or its handler has returned");
}

/* Under the lock. */
static enum hmq_status keep_end(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry, struct ended ended)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    enum hmq_status status = HMQ_OK;
    d->users++; /* for order_next */
    if (c->state == CONSUMER_CLOSED || c->state == CONSUMER_CLOSING) {
        held_release(h);
        status = HMQ_ECLOSED;
    } else if (!verdict_end(h, verdict, retry, ended)) {
        status = HMQ_ENOMEM;
    }
    if (h->state >= HELD_ENDING && !h->in_handler)
        order_next(h);
    delivery_release(d);
    if (status != HMQ_ECLOSED) {
        c->pump(c);
        if (c->state != CONSUMER_RUNNING)
            client_changed(c->client); /* who closes it waits for the message */
    }
    return status;
}

enum hmq_status hmq_message_end(const hmq_message *m, enum hmq_verdict verdict, const hmq_retry *retry,
                                hmq_ended_fn fn, void *arg, hmq_error *err)
{
    hmq_retry own = {.delay_ms = HMQ_DEFAULT};
    if (verdict < HMQ_ACK || verdict > HMQ_KEEP || (fn && verdict == HMQ_KEEP))
        return error_set(err, HMQ_EINVAL, "the verdict is none, or HMQ_KEEP with a function that would be told nothing");
    if (retry)
        own = *retry;
    own.reason[sizeof own.reason - 1] = '\0';
    struct held *h = keep_lock(m);
    if (!h)
        return error_set(err, HMQ_EINVAL, "only a message of a consumer's can be ended");
    struct hmq_consumer *c = h->delivery->consumer;
    enum hmq_status status = HMQ_EINVAL;
    if (h->state == HELD_RUNNING || h->state == HELD_KEPT)
        status = keep_end(h, verdict, &own, (struct ended){fn, arg});
    run_leave(c);
    if (status == HMQ_EINVAL)
        return error_set(err, status, "the message was ended already");
    return error_plain(err, status);
}

int hmq_message_lost(const hmq_message *m)
{
    struct held *h = keep_lock(m);
    if (!h)
        return 0;
    struct hmq_consumer *c = h->delivery->consumer;
    bool lost = h->lost || c->state == CONSUMER_CLOSED || clock_ms() >= h->lease_until_ms;
    pthread_mutex_unlock(&c->lock);
    return lost;
}

uint32_t hmq_message_tries(const hmq_message *m)
{
    struct held *h = keep_lock(m);
    if (!h)
        return 0;
    struct hmq_consumer *c = h->delivery->consumer;
    uint32_t tries = h->tries;
    pthread_mutex_unlock(&c->lock);
    return tries;
}
