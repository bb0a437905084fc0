/*
 * subscription.c: live copies of the bodies of new messages: SUBSCRIBE topic:<name>, and the notifications that follow.
 *
 *   a connection ─► tick: subscribe ─► done: "begins" ─► message, message ...   the application's function
 *        ▲                                 │ refused: again after a pause
 *        └── lost, or revoked: the rules of the user have changed
 *
 * A subscription belongs to its connection, and to all of it: two of one topic are one at the broker. So each of ours is
 * shown every notification, and only the last one of a topic unsubscribes. One that is made while the last one is being
 * closed may be cut off by that: it is told to subscribe again.
 *
 * Threads: everything runs on the driver's, except for making and closing. `again`, `open` and the counts are the only
 * things that two threads touch.
 */
#include "clients/c/halfmq.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/respond.h"
#include "clients/c/client/service.h"
#include "clients/c/client/stats.h"
#include "clients/c/client/wait.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/request.h"
#include "clients/c/wire/sized.h"

#define TOPICS_MOST 1024 /* the broker's limit for a connection */
#define RETRY_MS 1000
#define CHANNEL_HEAD "topic:"

struct hmq_subscription {
    struct service service;
    struct hmq_client *client;
    hmq_copy_fn fn;
    void *arg;
    char **channels; /* "topic:orders" */
    size_t n;
    _Atomic uint32_t asked_epoch; /* the connection that it was asked for on; 0: none. A late reply writes it while it is closed */
    int64_t retry_ms;
    _Atomic bool again; /* it may have been cut off */
    _Atomic unsigned open; /* requests under way */
    _Atomic uint64_t copies, bytes, begun;
    struct stats_source shown; /* in the statistics of the client */
};

struct subscribe_call {
    struct call call;
    struct hmq_subscription *subscription;
    uint32_t epoch;
};

static struct hmq_subscription *subscription_of(struct service *s)
{
    return (struct hmq_subscription *)(void *)s; /* the service is its first member */
}

static void subscription_trouble(const struct hmq_subscription *s, struct slice said)
{
    char text[HMQ_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "subscribe %s: %.*s", s->channels[0], (int)said.len, (const char *)said.data);
    client_event(s->client, HMQ_EVENT_TROUBLE, text);
}

static void subscription_done(struct call *call, const struct call_outcome *o)
{
    struct subscribe_call *sc = (struct subscribe_call *)(void *)call; /* the call is its first member */
    struct hmq_subscription *s = sc->subscription;
    struct hmq_client *client = s->client;
    if (o->status == HMQ_OK) {
        atomic_fetch_add(&s->begun, 1);
        s->fn(s->arg, NULL, NULL, 0);
    } else if (o->status != HMQ_ECLOSED && s->asked_epoch == sc->epoch) {
        s->asked_epoch = 0;
        s->retry_ms = clock_ms() + RETRY_MS;
        service_kick(client, &s->service);
    }
    if (o->status >= HMQ_EREFUSED)
        subscription_trouble(s, o->text);
    call_fini(call);
    free(sc);
    atomic_fetch_sub(&s->open, 1);
    /* From here on the subscription may be gone. */
    client_changed(client);
}

/* False: it could not be sent. */
static bool subscription_ask(struct hmq_subscription *s, uint32_t epoch)
{
    struct subscribe_call *sc = calloc(1, sizeof *sc);
    if (!sc)
        return false;
    call_init(&sc->call, client_id(s->client), subscription_done);
    sc->call.kind = CALL_INNER;
    sc->call.owner = s;
    sc->call.deadline_ms = client_deadline(s->client, HMQ_DEFAULT);
    sc->subscription = s;
    sc->epoch = epoch;
    request_begin(&sc->call, "subscribe", 1);
    pair_texts(&sc->call.frame, "channel", (const char *const *)s->channels, s->n);
    atomic_fetch_add(&s->open, 1);
    if (client_submit(s->client, &sc->call, 0) == HMQ_OK)
        return true;
    atomic_fetch_sub(&s->open, 1);
    call_fini(&sc->call);
    free(sc);
    return false;
}

/* Subscribes once on each connection, and again where that failed. */
static int64_t subscription_tick(struct service *service, int64_t now_ms)
{
    struct hmq_subscription *s = subscription_of(service);
    uint32_t epoch = client_epoch(s->client);
    if (atomic_exchange(&s->again, false))
        s->asked_epoch = 0;
    if (!client_is_connected(s->client) || s->asked_epoch == epoch)
        return CORE_NEVER;
    if (now_ms < s->retry_ms)
        return s->retry_ms;
    s->retry_ms = now_ms + RETRY_MS;
    if (!subscription_ask(s, epoch))
        return s->retry_ms;
    s->asked_epoch = epoch;
    return CORE_NEVER;
}

static void subscription_connected(struct service *service)
{
    struct hmq_subscription *s = subscription_of(service);
    s->retry_ms = CORE_NOW;
    service_kick(s->client, service);
}

/* NULL: it is none of ours. */
static const char *subscription_topic(const struct hmq_subscription *s, struct slice channel)
{
    for (size_t i = 0; i < s->n; i++)
        if (slice_equal(channel, slice_str(s->channels[i])))
            return s->channels[i] + strlen(CHANNEL_HEAD);
    return NULL;
}

static void subscription_copy(struct hmq_subscription *s, const char *topic, const struct rpc_value *params)
{
    struct slice body;
    if (!rpc_bytes(rpc_get(params, "body"), &body))
        return;
    atomic_fetch_add(&s->copies, 1);
    atomic_fetch_add(&s->bytes, body.len);
    s->fn(s->arg, topic, body.data ? body.data : (const uint8_t *)"", body.len);
}

/* No copies of this topic come any more. The broker is asked again, and goes on refusing until the rules allow it. */
static void subscription_revoked(struct hmq_subscription *s, const char *topic)
{
    char text[HMQ_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "subscribe " CHANNEL_HEAD "%.134s: it was ended, as the rules of the user have changed", topic);
    s->asked_epoch = 0;
    s->retry_ms = clock_ms() + RETRY_MS;
    service_kick(s->client, &s->service);
    client_event(s->client, HMQ_EVENT_TROUBLE, text);
}

/* Never taken: others may have subscribed to the same topic. */
static bool subscription_notify(struct service *service, struct slice method, const struct rpc_value *params)
{
    struct hmq_subscription *s = subscription_of(service);
    struct slice channel;
    const char *topic = rpc_bytes(rpc_get(params, "channel"), &channel) ? subscription_topic(s, channel) : NULL;
    if (topic && slice_equal(method, SLICE_LIT("message")))
        subscription_copy(s, topic, params);
    else if (topic && slice_equal(method, SLICE_LIT("unsubscribe")))
        subscription_revoked(s, topic);
    return false;
}

/* ---- making and closing ---- */

static void subscription_free(struct hmq_subscription *s)
{
    for (size_t i = 0; s->channels && i < s->n; i++)
        free(s->channels[i]);
    free(s->channels);
    free(s);
}

static hmq_subscription_stats subscription_read_stats(const struct hmq_subscription *s)
{
    return (hmq_subscription_stats){.size = sizeof(hmq_subscription_stats),
                                    .copies = atomic_load(&s->copies),
                                    .bytes = atomic_load(&s->bytes),
                                    .begun = atomic_load(&s->begun)};
}

static void subscription_write_stats(struct stats_source *shown, struct buf *to)
{
    static const struct stats_field fields[] = {STATS_FIELD(hmq_subscription_stats, copies),
                                                STATS_FIELD(hmq_subscription_stats, bytes),
                                                STATS_FIELD(hmq_subscription_stats, begun)};
    const struct hmq_subscription *s =
        (struct hmq_subscription *)(void *)((char *)shown - offsetof(struct hmq_subscription, shown));
    hmq_subscription_stats stats = subscription_read_stats(s);
    stats_put_last(to, &stats, fields, sizeof fields / sizeof *fields);
}

enum hmq_status hmq_subscription_stats_get(hmq_subscription *s, hmq_subscription_stats *stats)
{
    hmq_subscription_stats all = subscription_read_stats(s);
    return sized_write(stats, &all, sizeof all, offsetof(hmq_subscription_stats, bytes)) ? HMQ_OK : HMQ_EINVAL;
}

static char *subscription_channel(const char *topic)
{
    size_t size = strlen(CHANNEL_HEAD) + strlen(topic) + 1;
    char *channel = malloc(size);
    if (channel)
        snprintf(channel, size, "%s%s", CHANNEL_HEAD, topic);
    return channel;
}

static struct hmq_subscription *subscription_alloc(const char *const *topics, size_t n)
{
    struct hmq_subscription *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->channels = calloc(n, sizeof *s->channels);
    bool whole = s->channels;
    for (; whole && s->n < n; s->n++) {
        s->channels[s->n] = subscription_channel(topics[s->n]);
        whole = s->channels[s->n];
    }
    if (whole)
        return s;
    subscription_free(s);
    return NULL;
}

enum hmq_status hmq_subscription_new(hmq_client *c, const char *const *topics, size_t n_topics, hmq_copy_fn fn,
                                     void *arg, hmq_subscription **ret_subscription, hmq_error *err)
{
    bool whole = c && topics && n_topics > 0 && n_topics <= TOPICS_MOST && fn && ret_subscription;
    for (size_t i = 0; whole && i < n_topics; i++)
        whole = topics[i];
    if (!whole)
        return error_set(err, HMQ_EINVAL, "a subscription needs a client, 1 to %d topics, a function and ret_subscription",
                         TOPICS_MOST);
    struct hmq_subscription *s = subscription_alloc(topics, n_topics);
    if (!s)
        return error_plain(err, HMQ_ENOMEM);
    s->client = c;
    s->fn = fn;
    s->arg = arg;
    s->service = (struct service){.connected = subscription_connected,
                                  .tick = subscription_tick,
                                  .notify = subscription_notify,
                                  .due_ms = CORE_NOW};
    s->shown = (struct stats_source){.kind = STATS_SUBSCRIPTION, .write = subscription_write_stats};
    client_hold(c);
    service_add(c, &s->service);
    stats_add(c, &s->shown);
    *ret_subscription = s;
    return error_none(err);
}

struct subscription_other {
    const char *channel;
    bool tell; /* to subscribe again */
};

/* Under the client's lock. */
static bool subscription_shares(struct service *service, void *arg)
{
    struct subscription_other *other = arg;
    if (service->notify != subscription_notify)
        return false;
    struct hmq_subscription *s = subscription_of(service);
    bool shares = subscription_topic(s, slice_str(other->channel));
    if (shares && other->tell) {
        atomic_store(&s->again, true);
        service->due_ms = CORE_NOW;
    }
    return shares;
}

/* The driver is out of this one, and knows it no more. */
static void subscription_leave(struct hmq_subscription *s, const char *channel)
{
    struct subscription_other other = {channel, false};
    if (service_any(s->client, subscription_shares, &other))
        return;
    struct call *note = respond_notify("unsubscribe");
    if (!note)
        return; /* copies go on coming, and nobody looks at them */
    rpc_put_map(&note->frame, 1);
    pair_texts(&note->frame, "channel", &channel, 1);
    (void)respond_submit(s->client, s->asked_epoch, note);
    other.tell = true;
    (void)service_any(s->client, subscription_shares, &other);
}

static bool subscription_nothing_open(void *arg)
{
    struct hmq_subscription *s = arg;
    return atomic_load(&s->open) == 0;
}

enum hmq_status hmq_subscription_close(hmq_subscription *s, hmq_error *err)
{
    if (!s)
        return error_none(err);
    struct hmq_client *c = s->client;
    if (!wait_is_possible(c))
        return error_plain(err, HMQ_EWOULDBLOCK);
    service_remove(c, &s->service);
    stats_remove(c, &s->shown);
    client_cancel_owned(c, s);
    enum hmq_status status = wait_until(c, subscription_nothing_open, s, INT64_MAX);
    (void)status; /* this is no callback */
    for (size_t i = 0; i < s->n; i++)
        subscription_leave(s, s->channels[i]);
    subscription_free(s);
    client_release(c);
    return error_none(err);
}
