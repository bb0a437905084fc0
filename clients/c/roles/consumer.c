/*
 * consumer.c: making, running and draining a consumer; see consumer.h.
 */
#include "clients/c/roles/consumer.h"

#include <stdlib.h>

#include "clients/c/client/wait.h"

#define AVERAGE_BYTES_FIRST 4096
#define TOPICS_MAX_HERE 1000

/* On a worker thread. */
static void handle(struct task *task, void *arg)
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
        flow_verdict(h, verdict, &retry);
    flow_pump(c);
    pthread_mutex_unlock(&c->lock);
}

static void worker_gone(void *arg)
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

static bool copy_names(struct hmq_consumer *c, const char *group, const char *const *topics,
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

static void read_options(struct hmq_consumer *c, const hmq_options *o)
{
    c->prefetch = (size_t)options_num(o, CHOICE_prefetch);
    c->prefetch_bytes = (size_t)options_num(o, CHOICE_prefetch_bytes);
    c->lease_ms = options_num(o, CHOICE_lease_ms);
    c->max_lease_ms = options_num(o, CHOICE_max_lease_ms);
    c->wait_ms = options_num(o, CHOICE_wait_ms);
    c->average_bytes = AVERAGE_BYTES_FIRST;
    c->next_extend_ms = CORE_NEVER;
    fetch_worked(c);
    take_begin(c);
}

static enum hmq_status check_arguments(hmq_client *c, const char *group, const char *const *topics,
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

static struct hmq_consumer *consumer_make(hmq_client *client, const char *group,
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
    if (copy_names(c, group, topics, n))
        return c;
    consumer_free(c);
    return NULL;
}

enum hmq_status hmq_consumer_new(hmq_client *client, const char *group, const char *const *topics,
                                 size_t n_topics, hmq_message_fn handler, void *arg,
                                 const hmq_options *options, hmq_consumer **ret_consumer,
                                 hmq_error *err)
{
    enum hmq_status status = check_arguments(client, group, topics, n_topics, handler, err);
    if (status != HMQ_OK || !ret_consumer)
        return status != HMQ_OK ? status
                                : error_set(err, HMQ_EINVAL, "no place for the consumer given");
    if (!options)
        options = client_options(client);
    struct hmq_consumer *c = consumer_make(client, group, topics, n_topics);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    read_options(c, options);
    c->handler = handler;
    c->arg = arg;
    c->service = (struct service){.connected = stream_connected,
                                  .tick = flow_tick,
                                  .notify = stream_notify,
                                  .due_ms = CORE_NOW};
    size_t n_workers = (size_t)options_num(options, CHOICE_workers);
    if (!workers_start(&c->workers, n_workers, c->prefetch, handle, worker_gone, c)) {
        consumer_free(c);
        return error_set(err, HMQ_ESYSTEM, "the system gives no %zu threads", n_workers);
    }
    service_add(client, &c->service);
    *ret_consumer = c;
    return error_none(err);
}

void hmq_consumer_stats_get(hmq_consumer *c, hmq_consumer_stats *stats)
{
    pthread_mutex_lock(&c->lock);
    hmq_consumer_stats s = c->stats;
    s.held = c->n_held;
    pthread_mutex_unlock(&c->lock);
    s.size = stats->size < sizeof s ? stats->size : sizeof s;
    memcpy(stats, &s, s.size);
}

static bool workers_are_gone(void *arg)
{
    struct hmq_consumer *c = arg;
    return workers_gone(&c->workers);
}

static bool is_drained(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool drained = c->n_held == 0 && c->calls == 0 && c->stream == 0 && c->given_up == 0;
    pthread_mutex_unlock(&c->lock);
    return drained;
}

static bool nothing_open(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    bool nothing = c->calls == 0;
    pthread_mutex_unlock(&c->lock);
    return nothing;
}

/* Running handlers end; the messages that none has begun with go back. */
static enum hmq_status stop_workers(struct hmq_consumer *c)
{
    struct task_list left;
    struct task *task;
    workers_halt(&c->workers);
    enum hmq_status status = wait_until(c->client, workers_are_gone, c, INT64_MAX);
    if (status != HMQ_OK)
        return status;
    workers_stop(&c->workers, &left);
    pthread_mutex_lock(&c->lock);
    while ((task = TAILQ_FIRST(&left))) {
        TAILQ_REMOVE(&left, task, link);
        flow_return((struct held *)(void *)task);
    }
    flow_pump(c);
    pthread_mutex_unlock(&c->lock);
    return HMQ_OK;
}

/* Takes back what the broker has not answered. */
static void give_up(struct hmq_consumer *c)
{
    struct held *h;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_mutex_unlock(&c->lock);
    client_cancel_owned(c->client, c);
    enum hmq_status status = wait_until(c->client, nothing_open, c, INT64_MAX);
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
    c->draining = true;
    flow_pump(c); /* no more comes while the handlers end */
    pthread_mutex_unlock(&c->lock);
    enum hmq_status status = stop_workers(c);
    if (status == HMQ_OK)
        status = wait_until(client, is_drained, c, deadline_ms);
    service_remove(client, &c->service);
    give_up(c);
    consumer_free(c);
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status,
                         "some messages could not be acknowledged or given back in time; "
                         "they come again when their leases end");
    return error_plain(err, status);
}
