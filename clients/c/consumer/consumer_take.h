/*
 * consumer_take.h: messages that came, from whichever source.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_TAKE_H
#define HALFMQ_CLIENTS_C_CONSUMER_TAKE_H

#include "clients/c/consumer/consumer_inner.h"

/*
 * Holds the messages of the batch and queues them for the workers. Those that the workers have no room for,
 * and all of them while the consumer drains, are requeued. ranges: they came as one record. HMQ_ENOMEM:
 * nothing was done and the batch is still the caller's; its messages are redelivered when their leases
 * expire. Under the lock.
 */
enum hmq_status take_batch(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges);

#endif
