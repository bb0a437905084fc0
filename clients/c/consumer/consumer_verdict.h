/*
 * consumer_verdict.h: tells the broker what a handler decided about a message. All under the consumer's lock.
 *
 *   ACK           queued; while one ACK request is under way, the next ones collect for the next request
 *   NACK, REJECT  a request each, and so has an ACK that somebody is to be told of
 *   KEEP          nothing: the handler ends the message itself
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_VERDICT_H
#define HALFMQ_CLIENTS_C_CONSUMER_VERDICT_H

#include "clients/c/consumer/consumer_inner.h"

/* Who is told what came of it; fn NULL: nobody. */
struct ended {
    hmq_ended_fn fn;
    void *arg;
};

/* Ends the message, whatever its state was. False: there is no memory, and nothing was done. */
bool verdict_end(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry, struct ended ended);

/* Ends it with what its handler returned. */
void verdict_take(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry);

/* Queues the acknowledgement of n messages, each the held_next of the one before it. */
void verdict_ack_run(struct held *h, size_t n);

/* Requeues a message that no handler began, for another consumer to have at once. */
void verdict_return(struct held *h);

/* Sends what is queued, where no ACK request is under way. */
void verdict_pump(struct hmq_consumer *c);

#endif
