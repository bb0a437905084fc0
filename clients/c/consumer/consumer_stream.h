/*
 * consumer_stream.h: messages by a stream: the broker sends records as long as it has credit.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_STREAM_H
#define HALFMQ_CLIENTS_C_CONSUMER_STREAM_H

#include "clients/c/consumer/consumer_inner.h"

#define STREAM_DAMAGED "stream: a record from the broker is damaged"

/* Where the broker has no stream for us, this becomes pop_source until the next connection. */
extern const struct consumer_source stream_source;

/* Under the lock: this stream, of the connection of that epoch, brought what cannot be taken. Where it is open yet it is
 * given up, and another one is opened after a pause. */
void stream_failed(struct hmq_consumer *c, int64_t stream, uint32_t epoch);

/* Functions of the consumer's service. */
void stream_connected(struct service *s);
bool stream_notify(struct service *s, struct slice method, const struct rpc_value *params);

#endif
