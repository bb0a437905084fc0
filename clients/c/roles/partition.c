/*
 * partition.c: asks the broker over how many queues a topic spreads its ORDER keys, and computes a key's queue from
 * that; see partition.h.
 */
#include "clients/c/roles/partition.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/request.h"

#include <stdlib.h>

#include "protocol/base/text.h"

#define ASK_PAUSE_MS 50 /* the first message may create the topic */

struct ask_call {
    struct call call;
    struct partitions *ps;
    size_t which;
};

void partitions_init(struct partitions *ps, struct sender *s)
{
    *ps = (struct partitions){.sender = s};
}

void partitions_fini(struct partitions *ps)
{
    for (size_t i = 0; i < PARTITIONS; i++)
        free(ps->list[i].topic);
}

/* Open addressing without removal. NULL: there is no such topic and, if it is wanted, no room or memory for it. */
static struct partition *partition_find(struct partitions *ps, const char *topic, bool wanted)
{
    size_t first = (size_t)text_hash(slice_str(topic)) % PARTITIONS;
    for (size_t i = 0; i < PARTITIONS; i++) {
        struct partition *p = &ps->list[(first + i) % PARTITIONS];
        if (p->topic && strcmp(p->topic, topic) == 0)
            return p;
        if (!p->topic) {
            p->topic = wanted ? strdup(topic) : NULL;
            return p->topic ? p : NULL;
        }
    }
    return NULL;
}

static void partition_asked(struct call *call, const struct call_outcome *outcome)
{
    struct ask_call *a = (struct ask_call *)(void *)call; /* the call is its first member */
    struct partitions *ps = a->ps;
    int64_t n = 0;
    if (outcome->status != HMQ_OK || !rpc_int(rpc_get(outcome->result, "order_queues"), &n) ||
        n < 1 || n > QUEUES_MAX)
        n = 0;
    pthread_mutex_lock(&ps->sender->lock);
    struct partition *p = &ps->list[a->which];
    p->asking = false;
    p->order_queues = (uint32_t)n;
    p->ask_after_ms = clock_ms() + ASK_PAUSE_MS;
    pthread_mutex_unlock(&ps->sender->lock);
    call_fini(call);
    free(a);
    sender_unreserve(ps->sender, 1, 0);
}

static void partition_ask(struct partitions *ps, struct partition *p)
{
    struct hmq_client *c = ps->sender->client;
    struct ask_call *a = calloc(1, sizeof *a);
    if (!a)
        return;
    call_init(&a->call, client_id(c), partition_asked);
    a->call.deadline_ms = client_deadline(c, HMQ_DEFAULT);
    a->call.owner = ps->sender;
    a->call.kind = CALL_INNER;
    a->call.repeat = CALL_AGAIN;
    a->ps = ps;
    a->which = (size_t)(p - ps->list);
    request_begin(&a->call, "topic_info", 1);
    pair_text(&a->call.frame, "name", p->topic);
    sender_hold_locked(ps->sender);
    p->asking = true;
    if (client_submit(c, &a->call, 0) == HMQ_OK)
        return;
    p->asking = false;
    call_fini(&a->call);
    free(a);
    sender_unreserve_locked(ps->sender, 1, 0);
}

int64_t partition_queue(struct partitions *ps, const char *topic, struct slice order)
{
    struct partition *p = partition_find(ps, topic, true);
    if (!p)
        return -1;
    if (p->order_queues > 0)
        return (int64_t)(text_hash(order) % p->order_queues);
    if (!p->asking && clock_ms() >= p->ask_after_ms)
        partition_ask(ps, p);
    return -1;
}

void partition_forget(struct partitions *ps, const char *topic)
{
    struct partition *p = partition_find(ps, topic, false);
    if (p) {
        p->order_queues = 0;
        p->ask_after_ms = CORE_NOW;
    }
}
