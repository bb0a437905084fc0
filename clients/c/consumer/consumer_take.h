/*
 * consumer_take.h: messages that came, from whichever source.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_TAKE_H
#define HALFMQ_CLIENTS_C_CONSUMER_TAKE_H

#include "clients/c/consumer/consumer_inner.h"

/*
 * Holds the messages of a new delivery (delivery_new) and queues them for the workers. Those that the workers have no room
 * for, and all of them while the consumer drains, are requeued. Under the lock. HMQ_EPROTO, HMQ_ENOMEM: it had to be unpacked
 * for that, and could not be: nothing of it is held.
 */
enum hmq_status take_delivery(struct delivery *d);

#endif
