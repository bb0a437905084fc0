/*
 * consumer_run.h: a worker calls the handler.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_RUN_H
#define HALFMQ_CLIENTS_C_CONSUMER_RUN_H

#include "clients/c/consumer/consumer_inner.h"

/* Functions of the consumer's workers: one message, or, for a batch handler, this one and others that wait; the end
 * of a thread. Without the lock. */
void run_task(struct task *task, void *consumer);
void run_thread_gone(void *consumer);
void run_threads_ended(void *consumer); /* of those that were abandoned, the last one */

/* Under the lock, which it releases: frees a husk that neither a thread nor a message of the application's is in. */
void run_leave(struct hmq_consumer *c);

#endif
