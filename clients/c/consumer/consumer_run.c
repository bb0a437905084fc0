/*
 * consumer_run.c: takes messages to the handler and back; see consumer_run.h.
 *
 *   WAITING ─► run_begin ─► RUNNING, in_handler ─► the handler ─► run_end ─► KEPT, a retry, or ended
 *                 └─► lost: dropped; draining: requeued; paused: parked
 *
 * A message whose handler runs is a user of its delivery: so it stays valid, though hmq_message_end may end it before the
 * handler returns.
 */
#include "clients/c/consumer/consumer_run.h"

#include <stdlib.h>

#include "clients/c/client/intercept.h"
#include "clients/c/consumer/consumer_held.h"
#include "clients/c/consumer/consumer_open.h"
#include "clients/c/consumer/consumer_order.h"
#include "clients/c/consumer/consumer_verdict.h"
#include "clients/c/wire/clock.h"

static struct held *run_held(struct task *task)
{
    return (struct held *)(void *)task; /* the task is its first member */
}

/* The lease was lost while the message waited. */
static void run_drop(struct held *h)
{
    struct delivery *d = h->delivery;
    d->consumer->stats.lost += !h->lost;
    d->users++; /* order_next looks at it */
    held_release(h);
    order_next(h);
    delivery_release(d);
}

static void run_park(struct held *h)
{
    h->offered = false;
    TAILQ_INSERT_TAIL(&h->delivery->consumer->parked, &h->task, link);
}

/* The consumer runs, and is not paused. True: the handler of the message is to be called. */
static inline bool run_begin_now(struct held *h, int64_t now_ms)
{
    if (h->lost || now_ms >= h->lease_until_ms) {
        run_drop(h);
        return false;
    }
    h->state = HELD_RUNNING;
    h->in_handler = true;
    h->tries++;
    return true;
}

/* n messages of a delivery were begun. */
static void run_count_begun(struct delivery *d, size_t n)
{
    d->users += n;
    d->consumer->n_running += n;
}

/* True: its handler is to be called. */
static bool run_begin(struct held *h, int64_t now_ms)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    if (c->state != CONSUMER_RUNNING) {
        if (c->state == CONSUMER_DRAINING)
            verdict_return(h);
        return false;
    }
    if (c->paused) {
        run_park(h);
        return false;
    }
    if (!run_begin_now(h, now_ms))
        return false;
    run_count_begun(d, 1);
    return true;
}

/* The handler returned, and the message was not ended meanwhile. */
static void run_decide(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry)
{
    struct hmq_consumer *c = h->delivery->consumer;
    if (h->kept)
        held_keep(h);
    else if (c->state >= CONSUMER_CLOSING)
        held_release(h); /* nobody waits for its result any more */
    else if (verdict == HMQ_NACK && c->state == CONSUMER_RUNNING && order_retry(h, retry->delay_ms))
        c->stats.nacked++;
    else
        verdict_take(h, verdict, retry);
}

static void run_end(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    h->in_handler = false;
    c->n_running--;
    c->stats.handled++;
    if (h->state == HELD_RUNNING)
        run_decide(h, verdict, retry);
    if (h->state >= HELD_ENDING)
        order_next(h);
    delivery_release(d);
}

/* How many of them, from the first one on, are neighbours that their handler left to its verdict. These are out of it now. */
static size_t run_alike(const hmq_message *const *messages, size_t n)
{
    struct held *h = held_of(messages[0]);
    const struct delivery *d = h->delivery;
    size_t k = 0;
    for (; k < n && messages[k] == messages[0] + k && h[k].state == HELD_RUNNING && !h[k].kept; k++) {
        if (k > 0 && !(d->ranges && h[k].index == h[k - 1].index + 1))
            break;
        h[k].in_handler = false;
    }
    return k;
}

/* run_end for n such neighbours, which are acknowledged. */
static void run_end_alike(struct held *h, size_t n)
{
    struct delivery *d = h->delivery;
    struct hmq_consumer *c = d->consumer;
    c->n_running -= n;
    c->stats.handled += n;
    verdict_ack_run(h, n);
    d->users -= n; /* each of them is still held */
}

static void run_end_all(struct hmq_consumer *c, const hmq_message *const *messages, size_t n, enum hmq_verdict verdict,
                        const hmq_retry *retry)
{
    bool together = verdict == HMQ_ACK && !c->ordered && c->state < CONSUMER_CLOSING;
    for (size_t i = 0, k; i < n; i += k) {
        k = together ? run_alike(messages + i, n - i) : 0;
        if (k > 0)
            run_end_alike(held_of(messages[i]), k);
        else
            run_end(held_of(messages[i]), verdict, retry);
        k += k == 0;
    }
}

/* Under the lock: someone may wait for the handlers. */
static void run_tell(struct hmq_consumer *c)
{
    if (c->state != CONSUMER_CLOSED && (c->paused || c->state != CONSUMER_RUNNING))
        client_changed(c->client);
}

static enum hmq_verdict run_handler(struct hmq_consumer *c, const hmq_message *m, hmq_retry *retry)
{
    struct intercept_spans spans;
    if (c->interceptors.n == 0)
        return c->handler(c->arg, m, retry);
    intercept_receive(&c->interceptors, m, &spans);
    enum hmq_verdict verdict = c->handler(c->arg, m, retry);
    intercept_received(&c->interceptors, m, verdict, &spans);
    return verdict;
}

static enum hmq_verdict run_batch_handler(struct hmq_consumer *c, const hmq_message **messages, size_t n, hmq_retry *retry)
{
    struct intercept_spans *spans = c->interceptors.n > 0 ? calloc(n, sizeof *spans) : NULL;
    for (size_t i = 0; spans && i < n; i++)
        intercept_receive(&c->interceptors, messages[i], &spans[i]);
    enum hmq_verdict verdict = c->batch_handler(c->arg, messages, n, retry);
    for (size_t i = n; spans && i-- > 0;)
        intercept_received(&c->interceptors, messages[i], verdict, &spans[i]);
    free(spans);
    return verdict;
}

/* The same for up to `most` of the messages that a delivery's `whole` stands for, which goes back into the list where there
 * are more. Returns how many. */
static size_t run_begin_some(struct delivery *d, int64_t now_ms, const hmq_message **messages, size_t most,
                             struct task_list *tasks)
{
    const struct hmq_consumer *c = d->consumer;
    bool runs = c->state == CONSUMER_RUNNING;
    size_t n = 0;
    if (runs && c->paused) {
        run_park(&d->whole);
        return 0;
    }
    d->users++; /* the messages may be gone, all of them */
    while (d->next < d->n && n < most) {
        size_t i = d->next++;
        if (runs ? run_begin_now(&d->items[i], now_ms) : run_begin(&d->items[i], now_ms))
            messages[n++] = &d->batch->items[i];
    }
    run_count_begun(d, n);
    if (d->next < d->n)
        TAILQ_INSERT_HEAD(tasks, &d->whole.task, link);
    else
        d->whole.state = HELD_GONE;
    delivery_release(d);
    return n;
}

/* Begins up to `most` of the messages that a worker has in its hand; the others are queued again. Returns how many. */
static size_t run_take(struct hmq_consumer *c, struct task_list *tasks, const hmq_message **messages, size_t most)
{
    struct task *task;
    size_t n = 0;
    open_unpack(tasks);
    int64_t now_ms = clock_ms();
    pthread_mutex_lock(&c->lock);
    open_settle(tasks);
    while (n < most && (task = TAILQ_FIRST(tasks))) {
        struct held *h = run_held(task);
        TAILQ_REMOVE(tasks, task, link);
        if (h->state == HELD_WHOLE)
            n += run_begin_some(h->delivery, now_ms, messages + n, most - n, tasks);
        else if (run_begin(h, now_ms))
            messages[n++] = held_message(h);
    }
    order_start_first(c, tasks);
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* Calls the handler with those of the tasks that may begin; messages has room for so many. */
static void run_tasks(struct hmq_consumer *c, struct task_list *tasks, const hmq_message **messages, size_t most)
{
    hmq_retry retry = {.delay_ms = HMQ_DEFAULT};
    enum hmq_verdict verdict = HMQ_KEEP;
    int64_t begun_us, took_us = 0;
    size_t n = run_take(c, tasks, messages, most);
    if (n > 0) {
        workers_outside(&c->workers);
        begun_us = clock_us();
        verdict = c->handler ? run_handler(c, messages[0], &retry) : run_batch_handler(c, messages, n, &retry);
        took_us = clock_us() - begun_us;
        (void)workers_inside(&c->workers); /* what to do where it was abandoned, the state tells */
    }
    retry.reason[sizeof retry.reason - 1] = '\0';
    pthread_mutex_lock(&c->lock);
    latency_add(&c->latency, took_us, n > 0);
    run_end_all(c, messages, n, verdict, &retry);
    c->pump(c);
    run_tell(c);
    pthread_mutex_unlock(&c->lock);
}

void run_task(struct task *task, void *arg)
{
    struct hmq_consumer *c = arg;
    struct task_list tasks = TAILQ_HEAD_INITIALIZER(tasks);
    const hmq_message *alone, **messages = c->handler ? NULL : malloc(c->batch_count * sizeof *messages);
    size_t weight = open_weight(task);
    TAILQ_INSERT_TAIL(&tasks, task, link);
    if (messages && weight < c->batch_count)
        workers_take_more(&c->workers, &tasks, c->batch_count - weight, open_weight, clock_ms() + c->batch_wait_ms);
    run_tasks(c, &tasks, messages ? messages : &alone, messages ? c->batch_count : 1);
    free(messages);
}

void run_leave(struct hmq_consumer *c)
{
    bool last = c->state == CONSUMER_CLOSED && c->n_held == 0 && c->threads_ended;
    pthread_mutex_unlock(&c->lock);
    if (last)
        c->bury(c);
}

void run_thread_gone(void *arg)
{
    struct hmq_consumer *c = arg;
    client_changed(c->client);
}

void run_threads_ended(void *arg)
{
    struct hmq_consumer *c = arg;
    pthread_mutex_lock(&c->lock);
    c->threads_ended = true;
    run_leave(c);
}
