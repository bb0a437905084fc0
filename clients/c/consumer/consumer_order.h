/*
 * consumer_order.h: which message that waits may be handled next. All under the consumer's lock.
 *
 *   came ─► order_admits ─┬─ true ──► order_start ─┬─► a worker
 *                         │             ▲          └─► parked, while the consumer is paused
 *                         │             ├──── order_next, where the first one of its ORDER key has ended
 *                         └─ false: it follows the first one of its key
 *                                       └──── order_retries_due, after the pause of a NACK
 *
 * Without the option `ordered`, and without an ORDER key, every message is admitted at once.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_ORDER_H
#define HALFMQ_CLIENTS_C_CONSUMER_ORDER_H

#include "clients/c/consumer/consumer_inner.h"

/* False: another message of its key is before it, and order_next will start it. */
bool order_admits(struct held *h);

/* Queues these n messages, which are set to be offered, for the workers, or parks them. Where the workers stop they stay in
 * the list, and WAITING: who closes the consumer requeues them. */
void order_start(struct hmq_consumer *c, struct task_list *tasks, size_t n);

/* The same at the end of the driver's turn, by its tick: so the workers are woken once for all that was read together. */
void order_start_later(struct hmq_consumer *c, struct task_list *tasks, size_t n);
void order_queue_ready(struct hmq_consumer *c);

/* Queues these before all others: a worker has taken them, and has its hands full. */
void order_start_first(struct hmq_consumer *c, struct task_list *tasks);

/* The message has ended, and its handler, if it had one, has returned: the next one of its key is started. Its delivery
 * must be held by a user (consumer_held.h). */
void order_next(struct held *h);

/* The message is handled again after a pause, before the others of its key. True: it is one with an ORDER key. False: the
 * broker has to do it, or does it itself, as its group is ORDERED (consumer_group.h). */
bool order_retry(struct held *h, int64_t delay_ms);

/* Starts the retries that are due; returns when the next one is. */
int64_t order_retries_due(struct hmq_consumer *c, int64_t now_ms);

/* Takes back what is queued for the workers, but not what one of them has in its hand. */
void order_take_back(struct hmq_consumer *c, struct task_list *ret_tasks);

/* The consumer is paused: what is queued for the workers is parked; and goes on: it is queued again. */
void order_pause(struct hmq_consumer *c);
void order_resume(struct hmq_consumer *c);

#endif
