/*
 * consumer.c: makes a consumer, runs its handlers, ticks, and drains it on closing; see consumer_inner.h.
 */
#include "clients/c/consumer/consumer_inner.h"

#include <stdlib.h>

#include "clients/c/client/wait.h"
#include "clients/c/consumer/consumer_extend.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_stream.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/consumer/consumer_window.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/sized.h"

#define TOPICS_MAX_HERE 1000

/* Sends whatever is due. Under the lock. */
static void consumer_pump(struct hmq_consumer *c)
{
    if (c->state == CONSUMER_CLOSING)
        return;
    verdict_pump(c);
    c->source->pump(c);
}

/* Called by the driver: extends leases that are due, pumps, and returns when it is due next. */
static int64_t consumer_tick(struct service *s, int64_t now_ms)
{
    struct hmq_consumer *c = (struct hmq_consumer *)(void *)s; /* the service is its first member */
    pthread_mutex_lock(&c->lock);
    extend_due(c, now_ms);
    consumer_pump(c);
    int64_t next_ms = c->next_extend_ms;
    if (!c->ack_open && c->n_acks > 0 && c->ack_after_ms < next_ms)
        next_ms = c->ack_after_ms;
    if (!c->fetch_open && c->fetch_after_ms > now_ms && c->fetch_after_ms < next_ms)
        next_ms = c->fetch_after_ms;
    pthread_mutex_unlock(&c->lock);
    return next_ms;
}

/* On a worker thread. */
static void consumer_handle(struct task *task, void *arg)
{
    struct held *h = (struct held *)(void *)task; /* the task is its first member */
    struct hmq_consumer *c = arg;
    hmq_retry retry = {.delay_ms = HMQ_DEFAULT};
    pthread_mutex_lock(&c->lock);
    bool lost = h->lost || clock_ms() >= h->lease_until_ms;
    if (lost) {
        c->stats.lost += !h->lost;
        held_release(h);
    } else {
        h->state = HELD_RUNNING;
    }
    pthread_mutex_unlock(&c->lock);
    enum hmq_verdict verdict = lost ? HMQ_KEEP : c->handler(c->arg, h->m, &retry);
    pthread_mutex_lock(&c->lock);
    retry.reason[sizeof retry.reason - 1] = '\0';
    if (!lost)
        verdict_take(h, verdict, &retry);
    consumer_pump(c);
    pthread_mutex_unlock(&c->lock);
}

static void consumer_worker_gone(void *arg)
{
    struct hmq_consumer *c = arg;
    client_changed(c->client);
}

static void consumer_free(struct hmq_consumer *c)
{
    for (size_t i = 0; c->topics && i < c->n_topics; i++)
        free(c->topics[i]);
    free(c->topics);
    free(c->group);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static bool consumer_copy_names(struct hmq_consumer *c, const char *group, const char *const *topics,
                       size_t n)
{
    c->group = strdup(group);
    c->topics = calloc(n, sizeof *c->topics);
    bool whole = c->group && c->topics;
    for (; whole && c->n_topics < n; c->n_topics++) {
        c->topics[c->n_topics] = strdup(topics[c->n_topics]);
        whole = c->topics[c->n_topics] != NULL;
    }
    return whole;
}

static void consumer_read_options(struct hmq_consumer *c, const hmq_options *o)
{
    c->prefetch = (size_t)options_num(o, CHOICE_prefetch);
    c->prefetch_bytes = (size_t)options_num(o, CHOICE_prefetch_bytes);
    c->lease_ms = options_num(o, CHOICE_lease_ms);
    c->max_lease_ms = options_num(o, CHOICE_max_lease_ms);
    c->wait_ms = options_num(o, CHOICE_wait_ms);
    c->next_extend_ms = CORE_NEVER;
    window_begin(c);
}

static enum hmq_status consumer_check_arguments(hmq_client *c, const char *group, const char *const *topics,
                                       size_t n, hmq_message_fn handler, hmq_error *err)
{
    if (!c || !group || !topics || n == 0 || n > TOPICS_MAX_HERE || !handler)
        return error_set(err, HMQ_EINVAL,
                         "a consumer needs a client, a group, 1 to %d topics and a handler",
                         TOPICS_MAX_HERE);
    for (size_t i = 0; i < n; i++)
        if (!topics[i])
            return error_set(err, HMQ_EINVAL, "topic %zu is NULL", i);
    return HMQ_OK;
}

static struct hmq_consumer *consumer_alloc(hmq_client *client, const char *group,
                                          const char *const *topics, size_t n)
{
    struct hmq_consumer *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return NULL;
    }
    TAILQ_INIT(&c->held);
    TAILQ_INIT(&c->acks);
    c->client = client;
    if (consumer_copy_names(c, group, topics, n))
        return c;
    consumer_free(c);
    return NULL;
}

enum hmq_status hmq_consumer_new(hmq_client *client, const char *group, const char *const *topics,
                                 size_t n_topics, hmq_message_fn handler, void *arg,
                                 const hmq_options *options, hmq_consumer **ret_consumer,
                                 hmq_error *err)
{
    enum hmq_status status = consumer_check_arguments(client, group, topics, n_topics, handler, err);
    if (status != HMQ_OK || !ret_consumer)
        return status != HMQ_OK ? status
                                : error_set(err, HMQ_EINVAL, "ret_consumer is NULL");
    if (!options)
        options = client_options(client);
    struct hmq_consumer *c = consumer_alloc(client, group, topics, n_topics);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    consumer_read_options(c, options);
    c->pump = consumer_pump;
    c->source = &stream_source;
    c->handler = handler;
    c->arg = arg;
    c->service = (struct service){.connected = stream_connected,
                                  .tick = consumer_tick,
                                  .notify = stream_notify,
                                  .due_ms = CORE_NOW};
    size_t n_workers = (size_t)options_num(options, CHOICE_workers);
    if (!workers_start(&c->workers, n_workers, c->prefetch, consumer_handle, consumer_worker_gone, c)) {
        consumer_free(c);
        return error_set(err, HMQ_ESYSTEM, "the system has no %zu threads for the consumer", n_workers);
    }
    service_add(client, &c->service);
    *ret_consumer = c;
    return error_none(err);
}

enum hmq_status hmq_consumer_stats_get(hmq_consumer *c, hmq_consumer_stats *stats)
{
    pthread_mutex_lock(&c->lock);
    hmq_consumer_stats s = c->stats;
    s.held = c->n_held;
    pthread_mutex_unlock(&c->lock);
    return sized_write(stats, &s, sizeof s, offsetof(hmq_consumer_stats, handled)) ? HMQ_OK : HMQ_EINVAL;
}

static bool consumer_workers_gone(void *arg)
{
    struct hmq_consumer *c = arg;
    return workers_gone(&c->workers);
}

static bool consumer_is_drained(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool drained = c->n_held == 0 && c->calls == 0 && c->stream == 0 && c->given_up == 0;
    pthread_mutex_unlock(&c->lock);
    return drained;
}

static bool consumer_has_no_calls(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool nothing = c->calls == 0;
    pthread_mutex_unlock(&c->lock);
    return nothing;
}

/* Waits for running handlers; requeues the messages that none has begun. */
static enum hmq_status consumer_stop_workers(struct hmq_consumer *c)
{
    struct task_list left;
    struct task *task;
    workers_halt(&c->workers);
    enum hmq_status status = wait_until(c->client, consumer_workers_gone, c, INT64_MAX);
    if (status != HMQ_OK)
        return status;
    workers_stop(&c->workers, &left);
    pthread_mutex_lock(&c->lock);
    while ((task = TAILQ_FIRST(&left))) {
        TAILQ_REMOVE(&left, task, link);
        verdict_return((struct held *)(void *)task);
    }
    consumer_pump(c);
    pthread_mutex_unlock(&c->lock);
    return HMQ_OK;
}

/* Ends the requests that are not answered, and forgets the messages that are still held. */
static void consumer_give_up(struct hmq_consumer *c)
{
    struct held *h;
    pthread_mutex_lock(&c->lock);
    c->state = CONSUMER_CLOSING;
    pthread_mutex_unlock(&c->lock);
    client_cancel_owned(c->client, c);
    enum hmq_status status = wait_until(c->client, consumer_has_no_calls, c, INT64_MAX);
    (void)status; /* hmq_consumer_close made sure that this is no callback */
    while ((h = TAILQ_FIRST(&c->held)))
        held_release(h);
}

enum hmq_status hmq_consumer_close(hmq_consumer *c, int64_t timeout_ms, hmq_error *err)
{
    if (!c)
        return error_none(err);
    struct hmq_client *client = c->client;
    int64_t deadline_ms = client_deadline(client, timeout_ms);
    if (!wait_is_possible(client) || workers_here(&c->workers))
        return error_plain(err, HMQ_EWOULDBLOCK);
    pthread_mutex_lock(&c->lock);
    c->state = CONSUMER_DRAINING;
    consumer_pump(c); /* the stream is closed while the handlers end */
    pthread_mutex_unlock(&c->lock);
    enum hmq_status status = consumer_stop_workers(c);
    if (status == HMQ_OK)
        status = wait_until(client, consumer_is_drained, c, deadline_ms);
    service_remove(client, &c->service);
    consumer_give_up(c);
    consumer_free(c);
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status,
                         "some messages could not be acknowledged or requeued in time; "
                         "they are redelivered when their leases expire");
    return error_plain(err, status);
}
