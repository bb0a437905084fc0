/*
 * consumer_stream.h: messages by a stream: the broker sends records as long as it has credit.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_STREAM_H
#define HALFMQ_CLIENTS_C_CONSUMER_STREAM_H

#include "clients/c/consumer/consumer_inner.h"

/* Where the broker has no stream for us, this becomes pop_source until the next connection. */
extern const struct consumer_source stream_source;

/* Functions of the consumer's service. */
void stream_connected(struct service *s);
bool stream_notify(struct service *s, struct slice method, const struct rpc_value *params);

#endif
