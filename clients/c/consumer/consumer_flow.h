/*
 * consumer_flow.h: a request of a consumer, from making it to the end of its done().
 *
 *   flow_call ─► put params into the frame ─► flow_submit ─► done(): take the lock ... flow_end
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_FLOW_H
#define HALFMQ_CLIENTS_C_CONSUMER_FLOW_H

#include "clients/c/consumer/consumer_inner.h"

struct flow_call {
    struct call call;
    struct hmq_consumer *consumer;
    struct held *held; /* NACK, REJECT: the message; EXTEND: the first of them */
    size_t n; /* EXTEND, ACK: so many messages */
    int64_t sent_ms;
    const char *method; /* of a message by itself; static */
    hmq_ended_fn ended; /* hmq_message_end's: told what came of it; may be NULL */
    void *ended_arg;
};

typedef void flow_done(struct call *call, const struct call_outcome *outcome);

static inline struct flow_call *flow_of(struct call *call)
{
    return (struct flow_call *)(void *)call; /* the call is its first member */
}

/* NULL: no memory. */
struct flow_call *flow_call(struct hmq_consumer *c, flow_done *done);

/* Frees a call that was not submitted. */
void flow_drop(struct flow_call *f);

/* Under the lock, as the reply waits for it. False: the call is freed. */
bool flow_submit(struct flow_call *f);

/* The end of every done(): sends whatever is due now, releases the lock, frees the call, and wakes a thread that
 * closes the consumer. */
void flow_end(struct flow_call *f);

/* Calls `ended`, where there is one. Without the lock, on the driver thread. */
void flow_tell(const struct flow_call *f, enum hmq_status status, struct slice text);

/* Tells the application what the broker refused. Without the lock, on the driver thread. */
void flow_trouble(struct hmq_consumer *c, const char *what, enum hmq_status status,
                  struct slice said);

#endif
