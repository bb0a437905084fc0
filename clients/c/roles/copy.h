/*
 * copy.h: a batch of messages that were received, as the record of a PRODUCE, which stores their copies.
 */
#ifndef HALFMQ_CLIENTS_C_COPY_H
#define HALFMQ_CLIENTS_C_COPY_H

#include "clients/c/roles/sender.h"
#include "clients/c/wire/message.h"

/* Writes the frame of a `produce` of these messages; queue -1: any. HMQ_EINVAL, HMQ_ETOOBIG, HMQ_ENOMEM. */
enum hmq_status copy_encode(struct sender *s, const char *topic, int32_t queue, const struct hmq_batch *batch,
                            struct call *call, hmq_error *err);

#endif
