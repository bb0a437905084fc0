/*
 * intercept.h: the application's interceptors (hmq_options_add_interceptor) of messages that are received:
 *
 *   a consumer's            receive ─► its handler ─► received, with the verdict
 *   of hmq_pop, a reader    receive ─► the application has the batch ─► hmq_batch_free ─► received, HMQ_KEEP
 * Those that are
 * sent go through roles/outgoing.h. Without any lock.
 */
#ifndef HALFMQ_CLIENTS_C_INTERCEPT_H
#define HALFMQ_CLIENTS_C_INTERCEPT_H

#include "clients/c/client/client.h"
#include "clients/c/wire/message.h"

/* What each interceptor gave for a message. */
struct intercept_spans {
    void *of[INTERCEPTORS_MAX];
};

static inline bool intercept_wanted(const struct hmq_client *c)
{
    return client_options(c)->interceptors.n > 0;
}

/* Before and after a handler. */
void intercept_receive(const struct interceptors *all, const hmq_message *m, struct intercept_spans *ret_spans);
void intercept_received(const struct interceptors *all, const hmq_message *m, enum hmq_verdict verdict,
                        const struct intercept_spans *spans);

/* Messages that the application pops or reads: calls receive() of each now, and received() when the batch is freed. Where
 * there is no memory for what the interceptors give, they are not told. */
void intercept_batch(const struct interceptors *all, struct hmq_batch *batch);

#endif
