/*
 * consumer.h: the inside of a consumer.
 *
 *   stream_group: records, as long as there is credit     (an older broker: POP, one open, long poll)
 *    └► WAITING ─► RUNNING (a worker) ─┬─ ACK ──► acks ─► one ACK request for all of them ─► gone
 *          │           │               ├─ NACK, REJECT ─► a request of its own ────────────► gone
 *          │           │               └─ KEEP ────────────────────────────────────────────► gone
 *          └───────────┴── EXTEND at half of the lease, while held; a lost lease is dropped unrun
 *
 *   consumer.c         the public functions, the workers, draining
 *   consumer_stream.c  the stream: opening, credit, records, the end
 *   consumer_pop.c     the same by POP
 *   consumer_take.c    messages that came
 *   consumer_flow.c    requests about messages held, and what their answers do
 *
 * What came together (a *delivery*) is held in one array and, where it is a record, acknowledged and
 * extended by ranges of offsets: neighbours in the array with neighbouring offsets.
 *
 * Bounds: n_held + credit <= window <= prefetch when more is asked for. The window begins small, doubles
 * while it is emptied in a moment and shrinks when that takes long, which a slow handler shows long before
 * it is through: so fast handlers are kept busy, and slow ones leave messages to other consumers. Time in
 * which nothing is held counts for neither. The small beginning also lets the first messages tell their
 * size: the bytes are estimated from what came so far, because credit and POP count messages; a first
 * message passes whatever its size.
 *
 * Locks: `lock` guards all from there on. It may be held while submitting a call.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_H
#define HALFMQ_CLIENTS_C_CONSUMER_H

#include "clients/c/client/client.h"
#include "clients/c/client/service.h"
#include "clients/c/client/workers.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/message.h"
#include "clients/c/wire/request.h"

enum held_state { HELD_WAITING, HELD_RUNNING, HELD_ENDING, HELD_GONE };

struct held {
    struct task task;
    TAILQ_ENTRY(held) link; /* in consumer.held until GONE */
    TAILQ_ENTRY(held) ack_link; /* in consumer.acks, or in those of a request */
    struct delivery *delivery;
    const struct hmq_message *m;
    size_t bytes;
    enum held_state state;
    bool extending, lost;
    bool queued; /* in consumer.acks */
    int64_t lease_until_ms, extend_at_ms, give_up_ms; /* our own clock */
};

TAILQ_HEAD(held_list, held);

/* What came together; freed when none of it is held or being extended. */
struct delivery {
    struct hmq_consumer *consumer;
    struct hmq_batch *batch;
    bool ranges; /* a record's: one topic, queue and attempt; offsets ascend */
    size_t users, n;
    struct held items[];
};

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
    bool fetch_open, ack_open, draining, closing; /* fetch: POP, or what opens or closes a stream */
    bool pops; /* this broker has no stream for us */
    int64_t stream; /* its id on the connection of stream_epoch; 0: none is open */
    int64_t given_up; /* another one there, which is to be closed yet; 0: none */
    uint32_t stream_epoch;
    size_t credit; /* messages that the stream may still bring */
    size_t window; /* messages held that we aim at: 1..prefetch */
    size_t window_done; /* messages done since it last changed, or was found right */
    int64_t window_ms; /* when that was, moved on by the times when nothing was held */
    int64_t idle_ms; /* nothing is held since; while n_held is 0 */
    int64_t fetch_after_ms, fetch_pause_ms, ack_after_ms, next_extend_ms;
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

/* Looks at it again when it is to be extended. Under the lock. */
void flow_extend_later(struct held *h, int64_t at_ms);

/* Forgets a message. Under the lock. */
void held_release(struct held *h);

/* A request of the consumer. */
struct flow_call {
    struct call call;
    struct hmq_consumer *consumer;
    struct held *held; /* nack, reject; extend: the first of them */
    size_t n; /* extend */
    struct held_list acks; /* ack */
    int64_t sent_ms;
};

typedef void flow_done(struct call *call, const struct call_outcome *outcome);

static inline struct flow_call *flow_of(struct call *call)
{
    return (struct flow_call *)(void *)call; /* the call is its first member */
}

/* NULL: no memory. */
struct flow_call *flow_call(struct hmq_consumer *c, flow_done *done);

/* Under the lock. On failure the call is freed. */
bool flow_submit(struct flow_call *f);

/* The end of every done(), which releases the lock: counts the call out, goes on with what waits, tells
 * a closer. */
void flow_end(struct flow_call *f);

/* Tells the application of what the broker refused. Without the lock. */
void flow_trouble(struct hmq_consumer *c, const char *what, enum hmq_status status,
                  struct slice text);

/* consumer_take.c, under the lock: takes over what came, but on HMQ_ENOMEM; then it comes again when its lease
 * ends. */
enum hmq_status take_batch(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges);

/* The window as it begins. */
void take_begin(struct hmq_consumer *c);

/* A message is done: the window may change. Under the lock. */
void take_done(struct hmq_consumer *c);

/* How many messages more there is room for. */
size_t take_room(const struct hmq_consumer *c);

/* Asking for more failed, or did not: the next time is after a pause that doubles, or at once. */
void fetch_failed(struct hmq_consumer *c);
void fetch_worked(struct hmq_consumer *c);

/* Under the lock: what is due of opening, credit and closing. */
void stream_pump(struct hmq_consumer *c);

/* Functions of the service. */
void stream_connected(struct service *s);
bool stream_notify(struct service *s, struct slice method, const struct rpc_value *params);

/* Under the lock: asks where there is room. */
void pop_pump(struct hmq_consumer *c);

#endif
