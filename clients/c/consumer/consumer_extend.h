/*
 * consumer_extend.h: extends the leases of messages that are held for long.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_EXTEND_H
#define HALFMQ_CLIENTS_C_CONSUMER_EXTEND_H

#include "clients/c/consumer/consumer_inner.h"

/* Submits an EXTEND request for each range of messages that are due, and sets c->next_extend_ms. Under the
 * lock. */
void extend_due(struct hmq_consumer *c, int64_t now_ms);

#endif
