/*
 * consumer_pop.h: messages by POP, for a broker without streams, or with no stream left for us.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_POP_H
#define HALFMQ_CLIENTS_C_CONSUMER_POP_H

#include "clients/c/consumer/consumer_inner.h"

extern const struct consumer_source pop_source;

#endif
