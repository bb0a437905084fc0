/*
 * consumer_close.c: closes a consumer, whatever its handlers do; see consumer_close.h.
 *
 *   RUNNING ─► DRAINING   no handler is begun; what waits is requeued at once; the stream is closed
 *                 │       handlers that run end, and messages that are kept, until the deadline
 *                 ▼
 *              CLOSING    requests that are not answered are taken back
 *                 ▼
 *              CLOSED     nothing is left: freed. Otherwise a husk: run_leave frees it
 *
 * At the deadline there are two kinds of workers: those that are about to end, for which this waits, as that takes no
 * time, and those whose handler does not return. These are abandoned (client/workers.h).
 */
#include "clients/c/consumer/consumer_close.h"

#include "clients/c/client/gate.h"
#include "clients/c/client/stats.h"
#include "clients/c/client/wait.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_open.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_run.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/consumer/consumer_window.h"

/* ---- what is waited for ---- */

static bool close_no_handler(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool none = c->n_running == 0 || c->state != CONSUMER_RUNNING;
    pthread_mutex_unlock(&c->lock);
    return none;
}

enum hmq_status close_await_handlers(struct hmq_consumer *c, int64_t deadline_ms)
{
    enum hmq_status status = wait_until(c->client, close_no_handler, c, deadline_ms);
    return status == HMQ_OK && gate_closing(&c->gate) ? HMQ_ECLOSED : status;
}

static bool close_is_left(void *arg)
{
    const struct hmq_consumer *c = arg;
    return gate_empty(&c->gate);
}

static bool close_workers_gone(void *arg)
{
    struct hmq_consumer *c = arg;
    return workers_gone(&c->workers);
}

static bool close_is_drained(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool drained = c->n_held == 0 && c->calls == 0 && c->stream == 0 && c->given_up == 0;
    pthread_mutex_unlock(&c->lock);
    return drained;
}

static bool close_has_no_calls(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool nothing = c->calls == 0;
    pthread_mutex_unlock(&c->lock);
    return nothing;
}

/* ---- the steps ---- */

/* Does it with each message that is held. Under the lock. */
static void close_each(struct hmq_consumer *c, void (*do_it)(struct held *h))
{
    for (struct delivery *d = TAILQ_FIRST(&c->deliveries), *next; d; d = next) {
        d->users++; /* it stays while this walks over it */
        for (size_t i = 0; d->items && i < d->n; i++)
            if (d->items[i].state != HELD_GONE)
                do_it(&d->items[i]);
        next = TAILQ_NEXT(d, link);
        delivery_release(d);
    }
}

static void close_return(struct held *h)
{
    const struct delivery *d = h->delivery;
    bool in_hand = h->offered || (d->whole.offered && h >= d->items + d->next);
    h->heads = false; /* no follower is started any more: they are requeued as well */
    if (h->state == HELD_WAITING && !in_hand)
        verdict_return(h);
}

static void close_forget(struct held *h)
{
    if (h->state != HELD_RUNNING && h->state != HELD_KEPT)
        held_release(h);
}

/* What was not unpacked is requeued message by message, too. */
static void close_open(struct hmq_consumer *c)
{
    for (struct delivery *d = TAILQ_FIRST(&c->deliveries), *next; d; d = next) {
        d->users++;
        (void)open_whole(d);
        next = TAILQ_NEXT(d, link);
        delivery_release(d);
    }
}

/* Requeues the messages that no handler has begun, but for those that a worker has in its hand: it does that itself. */
static void close_begin(struct hmq_consumer *c)
{
    struct task_list taken = TAILQ_HEAD_INITIALIZER(taken);
    pthread_mutex_lock(&c->lock);
    c->state = CONSUMER_DRAINING;
    TAILQ_INIT(&c->retries);
    TAILQ_INIT(&c->parked);
    order_take_back(c, &taken);
    close_open(c);
    close_each(c, close_return);
    c->pump(c); /* the stream is closed while the handlers end */
    pthread_mutex_unlock(&c->lock);
    workers_halt(&c->workers);
    gate_close(&c->gate, c->client);
    (void)wait_until(c->client, close_is_left, c, INT64_MAX); /* they have been woken */
}

/* Returns how many messages are left to handlers that have not returned. */
static size_t close_workers(struct hmq_consumer *c, int64_t deadline_ms)
{
    struct task_list none;
    (void)wait_until(c->client, close_workers_gone, c, deadline_ms);
    bool abandoned = workers_abandon(&c->workers, run_threads_ended, &none);
    pthread_mutex_lock(&c->lock);
    c->threads_ended = c->threads_ended || !abandoned;
    size_t n = c->n_running;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* Ends the requests that are not answered. */
static void close_take_back(struct hmq_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    c->state = CONSUMER_CLOSING;
    pthread_mutex_unlock(&c->lock);
    client_cancel_owned(c->client, c);
    enum hmq_status status = wait_until(c->client, close_has_no_calls, c, INT64_MAX);
    (void)status; /* hmq_consumer_close made sure that this is no callback */
}

/* Forgets the messages, but for those that a handler has or that are kept. From here on the consumer may be gone. */
static void close_end(struct hmq_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    c->state = CONSUMER_CLOSED;
    c->credit = 0;
    window_promise(c);
    close_each(c, close_forget);
    run_leave(c);
}

enum hmq_status hmq_consumer_close(hmq_consumer *c, int64_t timeout_ms, hmq_error *err)
{
    if (!c)
        return error_none(err);
    struct hmq_client *client = c->client;
    int64_t deadline_ms = client_deadline(client, timeout_ms);
    if (!wait_is_possible(client) || workers_here(&c->workers))
        return error_plain(err, HMQ_EWOULDBLOCK);
    close_begin(c);
    size_t hung = close_workers(c, deadline_ms);
    enum hmq_status drained = wait_until(client, close_is_drained, c, deadline_ms);
    service_remove(client, &c->service);
    stats_remove(client, &c->shown);
    close_take_back(c);
    close_end(c);
    client_release(client);
    if (hung > 0)
        return error_set(err, HMQ_ETIMEDOUT,
                         "a handler did not return in time and is abandoned, with %zu messages that are redelivered "
                         "when their leases expire", hung);
    if (drained == HMQ_ETIMEDOUT)
        return error_set(err, drained,
                         "some messages could not be acknowledged or requeued in time; "
                         "they are redelivered when their leases expire");
    return error_plain(err, drained);
}
