/*
 * consumer.h: the inside of a consumer.
 *
 *   POP (one open at a time, long poll)
 *    └► WAITING ─► RUNNING (a worker) ─┬─ ACK ──► acks ─► one ACK request for all of them ─► gone
 *          │           │               ├─ NACK, REJECT ─► a request of its own ────────────► gone
 *          │           │               └─ KEEP ────────────────────────────────────────────► gone
 *          └───────────┴── EXTEND at half of the lease, while held; a lost lease is dropped unrun
 *
 *   consumer.c       the public functions, the workers, draining
 *   consumer_flow.c  the requests to the broker and what their answers do
 *
 * Bounds: n_held <= prefetch. The bytes are estimated from what came so far, because POP counts
 * messages; a first message passes whatever its size.
 *
 * Locks: `lock` guards all from there on. It may be held while submitting a call.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_H
#define HALFMQ_CLIENTS_C_CONSUMER_H

#include "clients/c/client.h"
#include "clients/c/message.h"
#include "clients/c/workers.h"

enum held_state { HELD_WAITING, HELD_RUNNING, HELD_ENDING, HELD_GONE };

/* One answer of POP, shared by the messages that came with it. */
struct delivery {
    struct hmq_batch *batch;
    size_t users;
};

struct held {
    struct task task;
    TAILQ_ENTRY(held) link; /* in consumer.held until GONE */
    TAILQ_ENTRY(held) ack_link; /* in consumer.acks, or in those of a request */
    struct hmq_consumer *consumer;
    struct delivery *delivery;
    const struct hmq_message *m;
    size_t bytes;
    enum held_state state;
    bool extending, lost;
    int64_t lease_until_ms, extend_at_ms, give_up_ms; /* our own clock */
};

TAILQ_HEAD(held_list, held);

struct hmq_consumer {
    struct service service;
    struct hmq_client *client;
    char *group;
    char **topics;
    size_t n_topics;
    hmq_message_fn handler;
    void *arg;
    int64_t lease_ms, max_lease_ms, wait_ms;
    size_t prefetch, prefetch_bytes;
    struct workers workers;

    pthread_mutex_t lock;
    struct held_list held, acks;
    size_t n_held, held_bytes, n_acks, average_bytes;
    size_t calls; /* requests under way, of whatever kind */
    bool pop_open, ack_open, draining, closing;
    int64_t pop_after_ms, pop_pause_ms, ack_after_ms, next_extend_ms;
    hmq_consumer_stats stats;
};

/* Asks for more and sends acknowledgements, as far as the bounds allow. Under the lock. */
void flow_pump(struct hmq_consumer *c);

/* The driver's call: extends what is due, pumps, says when it wants to be called again. */
int64_t flow_tick(struct service *s, int64_t now_ms);

/* What the handler said. Under the lock. */
void flow_verdict(struct held *h, enum hmq_verdict verdict, const hmq_retry *retry);

/* Gives a message back that was not handled. Under the lock. */
void flow_return(struct held *h);

/* Forgets a message. Under the lock. */
void held_release(struct held *h);

#endif
