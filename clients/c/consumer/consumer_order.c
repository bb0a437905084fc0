/*
 * consumer_order.c: ORDER keys, retries and pauses; see consumer_order.h.
 *
 * The first message of a key that has not ended is in consumer.keys, and the others of the key hang behind it, in the
 * order in which they came. When it ends, the next one takes its place and gets the rest. So nothing is allocated for a
 * key, and there are as many keys as messages at most.
 *
 * Invariant: a message that follows another one is WAITING, and is neither queued for the workers nor parked.
 */
#include "clients/c/consumer/consumer_order.h"

#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "protocol/base/text.h"

#define RETRY_MS 1000 /* where the handler names no delay */

static struct held *order_of_node(struct hash_node *node)
{
    return (struct held *)(void *)((char *)node - offsetof(struct held, key_node));
}

static bool order_same_key(const struct held *a, const struct held *b)
{
    return slice_equal(a->key, b->key) && slice_equal(a->topic, b->topic);
}

static struct held *order_first(const struct hmq_consumer *c, const struct held *h, uint64_t hash)
{
    for (struct hash_node *node = hash_first(&c->keys, hash); node; node = hash_more(node))
        if (order_same_key(order_of_node(node), h))
            return order_of_node(node);
    return NULL;
}

bool order_admits(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (!c->ordered || !message_order(h->m).data)
        return true;
    h->key = message_order(h->m);
    h->topic = slice_str(hmq_message_topic(h->m));
    uint64_t hash = text_hash(h->key);
    struct held *first = order_first(c, h, hash);
    if (first) {
        TAILQ_INSERT_TAIL(&first->followers, h, key_link);
        return false;
    }
    h->heads = true;
    hash_add(&c->keys, &h->key_node, hash);
    return true;
}

static size_t order_set_offered(struct task_list *tasks, bool offered)
{
    struct task *task;
    size_t n = 0;
    TAILQ_FOREACH(task, tasks, link) {
        ((struct held *)(void *)task)->offered = offered; /* the task is its first member */
        n++;
    }
    return n;
}

void order_start(struct hmq_consumer *c, struct task_list *tasks)
{
    if (c->paused) {
        TAILQ_CONCAT(&c->parked, tasks, link);
        return;
    }
    if (TAILQ_EMPTY(tasks)) /* as always when it drains: the workers may be gone */
        return;
    size_t n = order_set_offered(tasks, true); /* before: a worker may have one at once */
    workers_push_all(&c->workers, tasks, n);
    order_set_offered(tasks, false);
}

static void order_start_one(struct held *h)
{
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    TAILQ_INSERT_TAIL(&tasks, &h->task, link);
    order_start(h->delivery->consumer, &tasks);
}

void order_next(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (!h->heads)
        return;
    h->heads = false;
    hash_remove(&c->keys, &h->key_node);
    struct held *next = TAILQ_FIRST(&h->followers);
    if (!next)
        return;
    TAILQ_REMOVE(&h->followers, next, key_link);
    TAILQ_CONCAT(&next->followers, &h->followers, key_link);
    next->heads = true;
    hash_add(&c->keys, &next->key_node, h->key_node.hash);
    order_start_one(next);
}

bool order_retry(struct held *h, int64_t delay_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (!h->heads || c->group_ordered)
        return false;
    h->state = HELD_WAITING;
    h->offered = false;
    h->retry_ms = clock_ms() + (delay_ms < 0 ? RETRY_MS : delay_ms);
    TAILQ_INSERT_TAIL(&c->retries, h, ack_link);
    service_at(c->client, &c->service, h->retry_ms);
    return true;
}

int64_t order_retries_due(struct hmq_consumer *c, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    for (struct held *h = TAILQ_FIRST(&c->retries), *next; h; h = next) {
        next = TAILQ_NEXT(h, ack_link);
        if (h->retry_ms <= now_ms) {
            TAILQ_REMOVE(&c->retries, h, ack_link);
            order_start_one(h);
        } else if (h->retry_ms < next_ms) {
            next_ms = h->retry_ms;
        }
    }
    return next_ms;
}

void order_take_back(struct hmq_consumer *c, struct task_list *ret_tasks)
{
    workers_take_back(&c->workers, ret_tasks);
    order_set_offered(ret_tasks, false);
}

void order_pause(struct hmq_consumer *c)
{
    c->paused = true;
    order_take_back(c, &c->parked);
}

void order_resume(struct hmq_consumer *c)
{
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    c->paused = false;
    TAILQ_CONCAT(&tasks, &c->parked, link);
    order_start(c, &tasks);
}
