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

#include <assert.h>

#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "protocol/base/text.h"

#define RETRY_MS 1000 /* where the handler names no delay */

static struct turn *order_of_node(struct hash_node *node)
{
    return (struct turn *)(void *)((char *)node - offsetof(struct turn, key_node));
}

/* Only where the consumer is ordered. */
static struct turn *order_turn(const struct held *h)
{
    return &h->delivery->turns[h - h->delivery->items];
}

static bool order_same_key(const struct turn *a, const struct turn *b)
{
    return slice_equal(a->key, b->key) && slice_equal(a->topic, b->topic);
}

static struct turn *order_first(const struct hmq_consumer *c, const struct turn *t, uint64_t hash)
{
    for (struct hash_node *node = hash_first(&c->keys, hash); node; node = hash_more(node))
        if (order_same_key(order_of_node(node), t))
            return order_of_node(node);
    return NULL;
}

static void order_head(struct hmq_consumer *c, struct turn *t, uint64_t hash)
{
    t->held->heads = true;
    hash_add(&c->keys, &t->key_node, hash);
}

bool order_admits(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    const struct hmq_message *m = held_message(h);
    if (!c->ordered || !message_order(m).data)
        return true;
    struct turn *t = order_turn(h);
    t->key = message_order(m);
    t->topic = slice_str(hmq_message_topic(m));
    uint64_t hash = text_hash(t->key);
    struct turn *first = order_first(c, t, hash);
    if (first) {
        TAILQ_INSERT_TAIL(&first->followers, t, link);
        return false;
    }
    order_head(c, t, hash);
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

void order_start(struct hmq_consumer *c, struct task_list *tasks, size_t n)
{
    if (c->paused) {
        order_set_offered(tasks, false);
        TAILQ_CONCAT(&c->parked, tasks, link);
        return;
    }
    if (TAILQ_EMPTY(tasks)) /* as always when it drains: the workers may be gone */
        return;
    workers_push_all(&c->workers, tasks, n);
    order_set_offered(tasks, false);
}

void order_start_later(struct hmq_consumer *c, struct task_list *tasks, size_t n)
{
    if (c->paused) {
        order_start(c, tasks, n);
        return;
    }
    TAILQ_CONCAT(&c->ready, tasks, link);
    c->n_ready += n;
    service_kick(c->client, &c->service);
}

void order_start_first(struct hmq_consumer *c, struct task_list *tasks)
{
    if (TAILQ_EMPTY(tasks))
        return;
    workers_push_first(&c->workers, tasks);
    order_set_offered(tasks, false);
}

void order_queue_ready(struct hmq_consumer *c)
{
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    size_t n = c->n_ready;
    TAILQ_CONCAT(&tasks, &c->ready, link);
    c->n_ready = 0;
    order_start(c, &tasks, n);
    assert(TAILQ_EMPTY(&tasks)); /* the workers have room for as many as it may hold */
}

static void order_start_one(struct held *h)
{
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    h->offered = true;
    TAILQ_INSERT_TAIL(&tasks, &h->task, link);
    order_start(h->delivery->consumer, &tasks, 1);
}

void order_next(struct held *h)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (!h->heads)
        return;
    struct turn *t = order_turn(h);
    h->heads = false;
    hash_remove(&c->keys, &t->key_node);
    struct turn *next = TAILQ_FIRST(&t->followers);
    if (!next)
        return;
    TAILQ_REMOVE(&t->followers, next, link);
    TAILQ_CONCAT(&next->followers, &t->followers, link);
    order_head(c, next, t->key_node.hash);
    order_start_one(next->held);
}

bool order_retry(struct held *h, int64_t delay_ms)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (!h->heads || c->group_ordered)
        return false;
    h->state = HELD_WAITING;
    h->offered = false;
    struct turn *t = order_turn(h);
    t->retry_ms = clock_ms() + (delay_ms < 0 ? RETRY_MS : delay_ms);
    TAILQ_INSERT_TAIL(&c->retries, h, link);
    service_at(c->client, &c->service, t->retry_ms);
    return true;
}

int64_t order_retries_due(struct hmq_consumer *c, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    for (struct held *h = TAILQ_FIRST(&c->retries), *next; h; h = next) {
        next = TAILQ_NEXT(h, link);
        if (order_turn(h)->retry_ms <= now_ms) {
            TAILQ_REMOVE(&c->retries, h, link);
            order_start_one(h);
        } else if (order_turn(h)->retry_ms < next_ms) {
            next_ms = order_turn(h)->retry_ms;
        }
    }
    return next_ms;
}

void order_take_back(struct hmq_consumer *c, struct task_list *ret_tasks)
{
    workers_take_back(&c->workers, ret_tasks);
    TAILQ_CONCAT(ret_tasks, &c->ready, link);
    c->n_ready = 0;
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
    size_t n = order_set_offered(&tasks, true); /* before: a worker may have one at once */
    order_start(c, &tasks, n);
}
