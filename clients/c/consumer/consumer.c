/*
 * consumer.c: makes a consumer, ticks, pauses and resumes it; see consumer_inner.h.
 */
#include "clients/c/consumer/consumer_inner.h"

#include <stdlib.h>

#include "clients/c/client/gate.h"
#include "clients/c/client/stats.h"
#include "clients/c/consumer/consumer_close.h"
#include "clients/c/consumer/consumer_extend.h"
#include "clients/c/consumer/consumer_group.h"
#include "clients/c/consumer/consumer_open.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_run.h"
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
    if (c->state >= CONSUMER_CLOSING)
        return;
    verdict_pump(c);
    c->source->pump(c);
    window_promise(c);
}

/* Called by the driver: queues what came, extends leases that are due, pumps, and returns when it is due next. */
static int64_t consumer_tick(struct service *s, int64_t now_ms)
{
    struct hmq_consumer *c = (struct hmq_consumer *)(void *)s; /* the service is its first member */
    pthread_mutex_lock(&c->lock);
    open_due(c, now_ms);
    extend_due(c, now_ms);
    order_queue_ready(c);
    int64_t next_ms = order_retries_due(c, now_ms);
    consumer_pump(c);
    if (c->next_extend_ms < next_ms)
        next_ms = c->next_extend_ms;
    if (c->acks_open == 0 && c->n_acks > 0 && c->ack_after_ms < next_ms)
        next_ms = c->ack_after_ms;
    if (!c->fetch_open && c->fetch_after_ms > now_ms && c->fetch_after_ms < next_ms)
        next_ms = c->fetch_after_ms;
    bool damaged = c->damaged;
    c->damaged = false;
    pthread_mutex_unlock(&c->lock);
    if (damaged)
        client_event(c->client, HMQ_EVENT_TROUBLE, STREAM_DAMAGED);
    return next_ms;
}

static void consumer_free(struct hmq_consumer *c)
{
    for (size_t i = 0; c->topics && i < c->n_topics; i++)
        free(c->topics[i]);
    free(c->topics);
    free(c->group);
    hash_free(&c->keys);
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
    c->ordered = options_num(o, CHOICE_ordered);
    c->order_group = c->ordered && options_num(o, CHOICE_order_group);
    c->paused = !options_num(o, CHOICE_start);
    c->n_workers = (size_t)options_num(o, CHOICE_workers);
    c->batch_count = (size_t)options_num(o, CHOICE_batch_count);
    c->batch_wait_ms = options_num(o, CHOICE_batch_wait_ms);
    c->next_extend_ms = CORE_NEVER;
    window_begin(c);
}

static enum hmq_status consumer_check_arguments(hmq_client *c, const char *group, const char *const *topics,
                                       size_t n, bool handler, hmq_error *err)
{
    if (!c || !group || !topics || n == 0 || n > TOPICS_MAX_HERE || !handler)
        return error_set(err, HMQ_EINVAL,
                         "a consumer needs a client, a group, 1 to %d topics, a handler and ret_consumer",
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
    TAILQ_INIT(&c->deliveries);
    TAILQ_INIT(&c->acks);
    TAILQ_INIT(&c->retries);
    TAILQ_INIT(&c->parked);
    TAILQ_INIT(&c->ready);
    c->client = client;
    if (consumer_copy_names(c, group, topics, n))
        return c;
    consumer_free(c);
    return NULL;
}

static void consumer_read_stats(struct hmq_consumer *c, hmq_consumer_stats *s, struct latencies *ret_latency)
{
    pthread_mutex_lock(&c->lock);
    *s = c->stats;
    s->size = sizeof *s;
    s->held = c->n_held;
    *ret_latency = c->latency;
    pthread_mutex_unlock(&c->lock);
    s->latency = latency_summary(ret_latency);
}

static void consumer_write_stats(struct stats_source *shown, struct buf *to)
{
    static const struct stats_field fields[] = {
        STATS_FIELD(hmq_consumer_stats, received), STATS_FIELD(hmq_consumer_stats, handled),
        STATS_FIELD(hmq_consumer_stats, acked),    STATS_FIELD(hmq_consumer_stats, nacked),
        STATS_FIELD(hmq_consumer_stats, returned), STATS_FIELD(hmq_consumer_stats, extended),
        STATS_FIELD(hmq_consumer_stats, lost),     STATS_FIELD(hmq_consumer_stats, held),
        STATS_FIELD(hmq_consumer_stats, acks_lost)};
    struct hmq_consumer *c = (struct hmq_consumer *)(void *)((char *)shown - offsetof(struct hmq_consumer, shown));
    hmq_consumer_stats stats;
    struct latencies latency;
    consumer_read_stats(c, &stats, &latency);
    stats_put_text(to, "group", c->group);
    stats_put(to, &stats, fields, sizeof fields / sizeof *fields);
    stats_put_latency(to, &latency);
}

static void consumer_set_functions(struct hmq_consumer *c)
{
    c->pump = consumer_pump;
    c->bury = consumer_free;
    c->source = c->first_source = c->order_group ? &group_source : &stream_source;
    c->service = (struct service){.connected = stream_connected,
                                  .tick = consumer_tick,
                                  .notify = stream_notify,
                                  .due_ms = CORE_NOW};
    c->interceptors = client_options(c->client)->interceptors;
    c->shown = (struct stats_source){.kind = STATS_CONSUMER, .write = consumer_write_stats};
}

/* c has its handler. */
static enum hmq_status consumer_start(struct hmq_consumer *c, const hmq_options *options, hmq_consumer **ret_consumer,
                                      hmq_error *err)
{
    if (!options)
        options = client_options(c->client);
    consumer_read_options(c, options);
    consumer_set_functions(c);
    size_t n_workers = c->n_workers;
    if (!workers_start(&c->workers, n_workers, c->prefetch, run_task, run_thread_gone, c)) {
        consumer_free(c);
        return error_set(err, HMQ_ESYSTEM, "the system has no %zu threads for the consumer", n_workers);
    }
    client_hold(c->client);
    service_add(c->client, &c->service);
    stats_add(c->client, &c->shown);
    *ret_consumer = c;
    return error_none(err);
}

enum hmq_status hmq_consumer_new(hmq_client *client, const char *group, const char *const *topics,
                                 size_t n_topics, hmq_message_fn handler, void *arg,
                                 const hmq_options *options, hmq_consumer **ret_consumer,
                                 hmq_error *err)
{
    enum hmq_status status =
        consumer_check_arguments(client, group, topics, n_topics, handler && ret_consumer, err);
    if (status != HMQ_OK)
        return status;
    struct hmq_consumer *c = consumer_alloc(client, group, topics, n_topics);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    c->handler = handler;
    c->arg = arg;
    return consumer_start(c, options, ret_consumer, err);
}

enum hmq_status hmq_consumer_new_batch(hmq_client *client, const char *group, const char *const *topics,
                                       size_t n_topics, hmq_batch_fn handler, void *arg, const hmq_options *options,
                                       hmq_consumer **ret_consumer, hmq_error *err)
{
    enum hmq_status status =
        consumer_check_arguments(client, group, topics, n_topics, handler && ret_consumer, err);
    if (status != HMQ_OK)
        return status;
    struct hmq_consumer *c = consumer_alloc(client, group, topics, n_topics);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    c->batch_handler = handler;
    c->arg = arg;
    return consumer_start(c, options, ret_consumer, err);
}

/* The caller is inside the gate. */
static enum hmq_status consumer_pause_inside(struct hmq_consumer *c, int64_t timeout_ms, hmq_error *err)
{
    pthread_mutex_lock(&c->lock);
    if (!c->paused && c->state == CONSUMER_RUNNING)
        order_pause(c);
    c->pump(c); /* the stream is closed */
    bool runs = c->n_running > 0;
    pthread_mutex_unlock(&c->lock);
    if (timeout_ms == 0)
        return runs ? error_set(err, HMQ_ETIMEDOUT, "it is paused, but a handler runs") : error_none(err);
    if (workers_here(&c->workers))
        return error_plain(err, HMQ_EWOULDBLOCK);
    enum hmq_status status = close_await_handlers(c, client_deadline(c->client, timeout_ms));
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status, "it is paused, but a handler still runs");
    return error_plain(err, status);
}

enum hmq_status hmq_consumer_pause(hmq_consumer *c, int64_t timeout_ms, hmq_error *err)
{
    if (!c)
        return error_set(err, HMQ_EINVAL, "the consumer is NULL");
    struct hmq_client *client = c->client;
    if (!gate_enter(&c->gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = consumer_pause_inside(c, timeout_ms, err);
    gate_leave(&c->gate, client);
    return status;
}

enum hmq_status hmq_consumer_resume(hmq_consumer *c, hmq_error *err)
{
    if (!c)
        return error_set(err, HMQ_EINVAL, "the consumer is NULL");
    struct hmq_client *client = c->client;
    if (!gate_enter(&c->gate))
        return error_plain(err, HMQ_ECLOSED);
    pthread_mutex_lock(&c->lock);
    if (c->paused && c->state == CONSUMER_RUNNING)
        order_resume(c);
    service_kick(client, &c->service);
    pthread_mutex_unlock(&c->lock);
    gate_leave(&c->gate, client);
    return error_none(err);
}

enum hmq_status hmq_consumer_stats_get(hmq_consumer *c, hmq_consumer_stats *stats)
{
    hmq_consumer_stats s;
    struct latencies latency;
    consumer_read_stats(c, &s, &latency);
    return sized_write(stats, &s, sizeof s, offsetof(hmq_consumer_stats, handled)) ? HMQ_OK : HMQ_EINVAL;
}
