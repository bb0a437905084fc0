/*
 * copy.h: a batch of messages that were received, as the record of a PRODUCE, which stores their copies.
 */
#ifndef HALFMQ_CLIENTS_C_COPY_H
#define HALFMQ_CLIENTS_C_COPY_H

#include "clients/c/client/intercept.h"
#include "clients/c/roles/sender.h"
#include "clients/c/wire/message.h"

/* The messages whose copies the interceptors have seen, and what they gave for each. */
struct copy_trace {
    struct intercept_spans *spans; /* NULL: there are no interceptors */
    size_t n;
};

/* Writes the frame of a `produce` of these messages; queue -1: any. Whatever it returns, end *trace, which is 0 at first.
 * HMQ_EINVAL, HMQ_ETOOBIG, HMQ_ENOMEM. */
enum hmq_status copy_encode(struct sender *s, const char *topic, int32_t queue, const struct hmq_batch *batch,
                            struct call *call, struct copy_trace *trace, hmq_error *err);

/* Tells the interceptors what came of it; reply: the broker's, NULL where err->code is not HMQ_OK. */
void copy_trace_end(struct copy_trace *trace, struct hmq_client *c, const char *topic, const hmq_reply *reply,
                    const hmq_error *err);

#endif
