/*
 * gather.h: a producer's asynchronous messages on their way into batches.
 *
 *   hmq_send_async ─► lane (one a topic, and a queue for ORDER) ─► full, or due ─► produce ─► callbacks
 *                        the messages are encoded here, as                │ refused: each by itself,
 *                        they will be stored (protocol/record/message.h)         ▼ as a `send`
 *
 * When a lane is due: with a linger, so long after its first message. Without one, at once when nothing
 * of the lane is under way; else when that is answered, or GATHER_MS after the first message. So a lone
 * message never waits, and the faster they come the more leave together.
 *
 *   gather.c    lanes: what is open, when it is due
 *   produce.c   a closed lane as a call, its answer, its fallback
 *
 * A batch of one goes as a `send`: it is shorter so, and any broker knows it.
 *
 * Order: the messages of a lane leave as they came. A message that does not fit (fit.h) closes the lanes
 * of its topic before it leaves. So a lane must be able to leave at once: what that takes is there before
 * a message is taken. Should there be no memory for the frame, its messages end with HMQ_ENOMEM.
 *
 * Locks: `lock` for everything here; it may be held while a call is submitted. Callbacks run without it,
 * on the driver thread.
 */
#ifndef HALFMQ_CLIENTS_C_GATHER_H
#define HALFMQ_CLIENTS_C_GATHER_H

#include "clients/c/client/service.h"
#include "clients/c/roles/fit.h"
#include "clients/c/roles/partition.h"

#define GATHER_BYTES KIB(64) /* a batch is closed at: what the log likes its records to be */
#define GATHER_COUNT 1000
#define GATHER_MS 10
#define GATHER_BUCKETS 64

/* Whom to tell of a message. */
struct waiter {
    hmq_sent_fn fn;
    void *arg;
};

struct lane {
    LIST_ENTRY(lane) link;
    char *topic;
    int64_t queue; /* -1: any */
    struct buf record, starts; /* of the open batch */
    struct waiter *waiters;
    size_t n, size; /* messages in it, room in waiters */
    struct batch_call *spare; /* what it will leave as; there while n > 0 */
    size_t bytes; /* reserved for it */
    int64_t due_ms, deadline_ms;
    size_t under_way; /* calls that are not answered */
};

LIST_HEAD(lane_list, lane);

struct gather {
    struct service service;
    struct sender *sender;
    size_t max_bytes;
    pthread_mutex_t lock;
    struct lane_list lanes[GATHER_BUCKETS];
    size_t n_lanes, n_open;
    struct call_list failed; /* could not be submitted; ended by the driver */
    struct partitions partitions;
    bool plain; /* the broker knows no batches */
};

/* One batch, or one message of a batch that was refused. */
struct batch_call {
    struct call call;
    struct gather *gather;
    struct lane *lane;
    struct waiter *waiters; /* n of them, owned */
    size_t n, bytes;
    size_t record_bytes; /* at the end of the frame; 0: a `send` */
};

/* False: no memory for a lock. */
bool gather_init(struct gather *g, struct sender *s, const hmq_options *options);
void gather_start(struct gather *g);

/* Nothing is under way any more. */
void gather_stop(struct gather *g);

/* Under the lock: takes the message, for which `bytes` are reserved. HMQ_EAGAIN: it must go by itself.
 * HMQ_ENOMEM. */
enum hmq_status gather_add(struct gather *g, const char *topic, struct message *m, size_t bytes,
                           int64_t deadline_ms, struct waiter waiter);

/* Under the lock: submits what is open; of this topic, or (NULL) all. */
void gather_close(struct gather *g, const char *topic);

/* Under the lock: after a call of the lane was answered. */
void lane_answered(struct gather *g, struct lane *lane);

/* produce.c, under the lock: the open batch of the lane leaves. */
void lane_submit(struct gather *g, struct lane *lane);

/* produce.c: ends the calls of g->failed. Driver thread, without the lock. */
void produce_fail(struct gather *g);

#endif
