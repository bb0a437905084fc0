/*
 * consumer_inner.h: the structure of a consumer, for the files consumer_*.c.
 *
 *   stream_group: records, as long as there is credit     (an older broker: POP, one request at a time)
 *    │ WHOLE, until a worker unpacks it
 *    └► WAITING ─► RUNNING (a worker) ─┬─ ACK ──► acks ─► one ACK request for all of them ─► GONE
 *        │ │ ▲      │  │  │            ├─ NACK, REJECT ─► a request of its own ────────────► GONE
 *        │ │ └──────┘  │  └─ KEPT ─────┤   (both ENDING until the reply)
 *        │ │ NACK of   │               └─ KEEP ────────────────────────────────────────────► GONE
 *        │ │ an ORDER  │
 *        │ │ key       │
 *        └─┴───────────┴── EXTEND at half of the lease, while held; a lost lease is dropped unrun
 *
 *   consumer.c          the public functions: making one, pausing, statistics
 *   consumer_close.c    draining, and leaving behind what does not end
 *   consumer_run.c      a worker calls the handler
 *   consumer_open.c     unpacks what came
 *   consumer_keep.c     messages that the application ends itself
 *   consumer_stream.c   the source of messages: a stream (opening, credit, records, the end)
 *   consumer_pop.c      the other source: POP
 *   consumer_take.c     hands messages that came to the workers
 *   consumer_order.c    which message may be handled next: ORDER keys, retries, pauses
 *   consumer_extend.c   extending leases
 *   consumer_verdict.c  tells the broker what the handlers decided
 *   consumer_flow.c     requests of a consumer
 *   consumer_held.c     messages held
 *   consumer_window.c   how many messages more may come, and when to ask for them
 *
 * Each of these files calls only those below it. What calls upwards is handed down: `pump` and `source`.
 *
 * Messages that came together (a *delivery*) are held in one array. A record is unpacked by the worker that takes its first
 * message: so the driver need not look at its bytes, and the worker's caches have its messages. Until then it is counted
 * with what its head says. The messages of a delivery that wait, unpacked or not, are queued and parked as one (HELD_WHOLE),
 * of which the workers take as many as they handle at a time; in an ordered consumer each by itself. Where they came as a record, they are
 * acknowledged and extended by ranges of offsets: neighbours in the array with consecutive offsets. A message whose
 * acknowledgement was handed to the client is not held any more: that request has all that is needed of it.
 *
 * A consumer that is closed while a handler does not return, or while messages are kept, is left as a *husk* (CLOSED): it
 * touches its client no more, and the last thread or message that leaves it frees it.
 *
 * Locks: `lock` guards all from there on. It may be held while submitting a call.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_INNER_H
#define HALFMQ_CLIENTS_C_CONSUMER_INNER_H

#include <pthread.h>

#include "clients/c/client/client.h"
#include "clients/c/client/service.h"
#include "clients/c/client/workers.h"
#include "clients/c/wire/latency.h"
#include "clients/c/wire/unpack.h"
#include "protocol/base/hash.h"

enum held_state {
    HELD_WAITING, /* for a worker, for its turn in its ORDER key, or for its retry */
    HELD_RUNNING, /* its handler is called */
    HELD_KEPT, /* its handler has returned, and the application ends it */
    HELD_ENDING,
    HELD_GONE,
    HELD_WHOLE /* delivery.whole: it stands for those of its messages that wait one behind the other */
};

struct held;
TAILQ_HEAD(held_list, held);

/* 64 bytes, as many of these are written and read in a second as there are messages: what few need is elsewhere. */
struct held {
    union {
        struct task task; /* WAITING */
        TAILQ_ENTRY(held) link; /* in consumer.retries; ENDING, the first one of a run: in consumer.acks */
    };
    struct delivery *delivery;
    int64_t lease_until_ms, extend_at_ms; /* our own clock */
    uint32_t index; /* ranges: those of neighbours differ by one where their offsets do */
    uint32_t bytes; /* of its message */
    uint32_t tries; /* calls of the handler */
    uint32_t run; /* queued, the first and the last one of a run: its length (consumer_verdict.c) */
    uint8_t state; /* enum held_state */
    bool extending : 1, lost : 1;
    bool queued : 1; /* in a run of consumer.acks */
    bool offered : 1; /* queued for the workers, or one of them has it in its hand */
    bool in_handler : 1; /* whatever its state: its message must stay valid until the handler returns */
    bool kept : 1; /* hmq_message_keep was called */
    bool left_window : 1; /* counted in consumer.n_outside until it is GONE */
    bool heads : 1; /* it is the first of its ORDER key, and in consumer.keys */
};

/* What a consumer with ordered=yes knows of a message besides. */
struct turn {
    struct held *held;
    struct hash_node key_node;
    TAILQ_ENTRY(turn) link; /* in the followers of the first one of its key */
    TAILQ_HEAD(turn_list, turn) followers; /* of the first one */
    int64_t retry_ms; /* in consumer.retries: when */
    struct slice key, topic; /* of the first one and its followers: they are equal */
};

/* A record that came, until it is unpacked. */
struct packed_record {
    struct slice record; /* in the block of its frame, or in the delivery's own, as the slices of `from` */
    struct origin from;
    size_t reserved; /* memory that is taken for what becomes of it */
    size_t least; /* bytes of its messages, if they have a body only */
    size_t bytes; /* status HMQ_OK: of its messages */
    int64_t stream; /* that it came by, */
    uint32_t epoch; /* on this connection */
    enum hmq_status status; /* tried: what came of unpacking it */
    bool tried; /* as all above, whoever has the delivery in its hand reads and writes it */
};

/* Messages that came together; freed when none of them is held or being extended. */
struct delivery {
    struct hmq_consumer *consumer;
    TAILQ_ENTRY(delivery) link; /* in consumer.deliveries */
    struct held *items; /* NULL: they are not unpacked yet */
    struct held whole; /* queued, or parked, for all items from `next` on; GONE: there are none, or each waits by itself */
    size_t next;
    struct held *unpacked; /* the items, before others may see them */
    struct hmq_batch *batch;
    struct packed_record arrival;
    bool ranges; /* a record's: one topic, queue and attempt; offsets ascend */
    size_t users, n;
    size_t bytes; /* of all of its messages; an estimate until they are unpacked */
    int64_t came_ms, give_up_ms; /* our own clock */
    struct turn *turns; /* of each message, behind the items; NULL: not ordered */
    struct memory *memory; /* that its blocks are taken from */
    size_t size, items_size; /* of its block; of that of the items, where they have one of their own */
    void *frame; /* that brought the record: client_take_block; NULL: the record was copied */
    size_t frame_size;
};

TAILQ_HEAD(delivery_list, delivery);

/* The message is read only where it is held, or its handler has it. */
static inline const struct hmq_message *held_message(const struct held *h)
{
    return &h->delivery->batch->items[h - h->delivery->items];
}

/* Where messages come from. */
struct consumer_source {
    /* Asks the broker for what the window has room for, or to stop where the consumer drains. Under the lock. */
    void (*pump)(struct hmq_consumer *c);
};

enum consumer_state {
    CONSUMER_RUNNING,
    CONSUMER_DRAINING, /* asks for no more; messages held are being ended */
    CONSUMER_CLOSING, /* sends nothing any more */
    CONSUMER_CLOSED /* a husk */
};

struct hmq_consumer {
    struct service service;
    struct hmq_client *client;
    char *group;
    char **topics;
    size_t n_topics;
    hmq_message_fn handler; /* NULL: batch_handler */
    hmq_batch_fn batch_handler;
    void *arg;
    struct interceptors interceptors; /* a copy: a handler may return when the client is gone */
    bool ordered;
    bool order_group; /* and the broker is to keep the order */
    size_t batch_count, n_workers;
    int64_t batch_wait_ms;
    int64_t lease_ms, max_lease_ms, wait_ms;
    size_t prefetch, prefetch_bytes;
    struct workers workers;
    void (*pump)(struct hmq_consumer *c); /* sends whatever is due. Under the lock */
    struct gate gate; /* of hmq_consumer_pause and _resume */

    pthread_mutex_t lock;
    enum consumer_state state;
    const struct consumer_source *source, *first_source; /* now; on a new connection */
    bool paused;
    size_t n_running; /* messages whose handler runs */
    bool threads_ended; /* no worker is left: it may be freed, where it is a husk */
    void (*bury)(struct hmq_consumer *c); /* frees it */
    struct delivery_list deliveries; /* in the order in which they came */
    struct held_list acks; /* runs of messages to be acknowledged */
    size_t n_held, held_bytes, n_acks, average_bytes;
    size_t rich_bytes; /* what keys, properties and the like of a message took on the average, in the last record */
    size_t acks_open; /* ACK requests under way */
    size_t n_outside; /* of those held: the window does not count them, as they were KEPT, or wait in acks for a request */
    struct task_list ready; /* WAITING, offered: came in this turn of the driver, and are queued at its end */
    size_t n_ready;
    struct task_list parked; /* WAITING messages that no worker may begin while it is paused */
    struct hash keys; /* ordered: the first message of each ORDER key */
    struct held_list retries; /* ordered: those that wait for their retry */
    size_t calls; /* requests under way, of whatever kind */
    size_t group_topic; /* order_group: the topic whose group is to be ORDERED next */
    bool group_set; /* it is there, and to be set */
    bool group_ordered; /* it is so on all topics: a NACK goes to the broker, which holds the key meanwhile */
    bool fetch_open; /* a request of the source is: a POP, or what opens or closes a stream */
    int64_t stream; /* its id on the connection of stream_epoch; 0: none is open */
    int64_t given_up; /* the id of another one there, which is yet to be closed; 0: none */
    uint32_t stream_epoch;
    size_t credit; /* messages that the stream may still bring */
    size_t promised; /* memory for these */
    bool damaged; /* a record was, and the application is to be told */
    size_t window; /* how many messages it holds at most, and aims to hold: 1..prefetch */
    size_t window_least; /* it begins with, and does not shrink below */
    size_t window_done; /* messages ended since it last changed, or was found to be right */
    int64_t window_ms; /* when that was, moved on by the times when nothing was held */
    int64_t idle_ms; /* nothing is held since then; while n_held is 0 */
    int64_t fetch_after_ms, fetch_pause_ms; /* when to ask for more, and the next pause */
    int64_t ack_after_ms, next_extend_ms;
    hmq_consumer_stats stats;
    struct latencies latency; /* of the handler */
    struct stats_source shown; /* in the statistics of the client */
};

/* Whether more messages are to come. Under the lock. */
static inline bool consumer_wants_more(const struct hmq_consumer *c)
{
    return c->state == CONSUMER_RUNNING && !c->paused;
}

#endif
