/*
 * consumer_close.h: waiting for the handlers of a consumer, for hmq_consumer_pause as well.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_CLOSE_H
#define HALFMQ_CLIENTS_C_CONSUMER_CLOSE_H

#include "clients/c/consumer/consumer_inner.h"

/* Waits until no handler runs, or the deadline. Statuses of wait_until (client/wait.h), and
 * HMQ_ECLOSED: it is being closed. Without the lock. */
enum hmq_status close_await_handlers(struct hmq_consumer *c, int64_t deadline_ms);

#endif
