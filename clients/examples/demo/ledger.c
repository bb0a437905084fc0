/*
 * ledger.c: a consumer that notes each message it receives in the entry of its order (ledger.h).
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number that follows a name in the order's JSON; -1: it is not there. */
static int64_t number_of(const hmq_message *m, const char *name)
{
    const char *body = hmq_message_body(m, NULL);
    const char *at = body ? strstr(body, name) : NULL;
    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void enter(struct ledger *l, struct entry *e, const hmq_message *m)
{
    uint32_t queue = hmq_message_queue(m);
    uint64_t offset = hmq_message_offset(m);
    if (e->deliveries++ == 0)
        l->orders++;
    if (e->ids == 0 || e->queue != queue || e->offset != offset)
        e->ids++;
    e->queue = queue;
    e->offset = offset;
    e->total_cents = number_of(m, "\"total_cents\":");
}

/* The consumer's handler. Runs on a worker thread. */
static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct ledger *l = arg;
    int64_t order = number_of(m, "\"order\":");
    (void)retry;
    pthread_mutex_lock(&l->lock);
    l->deliveries++;
    if (order >= 1 && order <= l->n_orders)
        enter(l, &l->entries[order], m);
    else
        l->strange++;
    pthread_mutex_unlock(&l->lock);
    return HMQ_ACK;
}

bool ledger_start(struct ledger *l, const char *group, uint32_t n_orders, const char *uri)
{
    hmq_error err = {HMQ_ENOMEM, "no memory"};
    const char *topic = "orders";
    *l = (struct ledger){.group = group, .n_orders = n_orders, .lock = PTHREAD_MUTEX_INITIALIZER};
    l->entries = calloc((size_t)n_orders + 1, sizeof *l->entries);
    if (l->entries && hmq_client_open(uri, &l->client, &err) == HMQ_OK &&
        hmq_consumer_new(l->client, group, &topic, 1, on_message, l, NULL, &l->consumer, &err) ==
            HMQ_OK)
        return true;
    fprintf(stderr, "demo: group %s: %s\n", group, err.text);
    return false;
}

bool ledger_stop(struct ledger *l)
{
    hmq_error err;
    bool drained = hmq_consumer_close(l->consumer, 10000, &err) == HMQ_OK;
    if (!drained)
        fprintf(stderr, "demo: group %s: %s\n", l->group, err.text);
    hmq_client_free(l->client);
    l->consumer = NULL;
    l->client = NULL;
    return drained;
}

void ledger_free(struct ledger *l)
{
    free(l->entries);
    l->entries = NULL;
}

uint32_t ledger_orders(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    uint32_t n = l->orders;
    pthread_mutex_unlock(&l->lock);
    return n;
}
