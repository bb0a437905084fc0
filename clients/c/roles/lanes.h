/*
 * lanes.h: a producer's asynchronous messages on their way into batches.
 *
 *   hmq_send_async ─► lane (one a topic, and a queue for ORDER) ─► full, or due ─► produce ─► callbacks
 *                        the messages are encoded here, as                │ refused: each by itself,
 *                        they will be stored (protocol/record/record.h)         ▼ as a `send`
 *
 * When a lane is due: with a linger, so long after its first message, or when half of a message's time is over. Without one, at once where no request
 * of the lane is under way; else when that is answered, or LANES_MS after the first message. So a lone
 * message never waits, and the faster they come the more leave together. Where several requests are under way, an eighth of
 * a batch or more leaves after any answer, less when all are answered.
 *
 *   lanes.c     what is open, and when it is due
 *   produce.c   a closed lane as a request, its reply, its fallback; called by `leave`
 *
 * A batch of one goes as a `send`: it is shorter so, and any broker knows it.
 *
 * Order: the messages of a lane leave as they came. A lane for ORDER has one request under way at a time, and what
 * leaves meanwhile is held: if the broker refuses a batch, its messages go one by one, and must not arrive behind
 * those of the next batch. A message that does not fit (fit.h) closes the lanes of its topic before it leaves. So a lane must be able to leave at once: the memory that it takes is there
 * before a message is taken. Should there be none for the frame, its messages end with HMQ_ENOMEM.
 *
 * Locks: the sender's for everything here; it may be held while a call is submitted. Callbacks run without it,
 * on the driver thread.
 */
#ifndef HALFMQ_CLIENTS_C_LANES_H
#define HALFMQ_CLIENTS_C_LANES_H

#include <pthread.h>

#include "clients/c/client/client.h"
#include "clients/c/roles/partition.h"
#include "protocol/record/record.h"

#define LANES_BYTES KIB(64) /* a batch is closed at: what the log likes its records to be */
#define LANES_COUNT 1000
#define LANES_MS 10
#define LANES_BUCKETS 64

/* What to call when a message has its result. */
struct listener {
    hmq_sent_fn fn;
    void *arg;
};

struct lane {
    LIST_ENTRY(lane) link;
    char *topic;
    int64_t queue; /* -1: any */
    struct buf record, starts; /* of the open batch */
    struct listener *listeners;
    size_t n, size; /* messages in it, room in listeners */
    struct batch_call *spare; /* what it will leave as; there while n > 0 */
    size_t bytes; /* reserved for it */
    int64_t due_ms, deadline_ms, opened_us;
    size_t under_way; /* calls that are not answered */
    struct call_list held; /* batch_calls of an ORDER lane that wait until none is under way */
};

LIST_HEAD(lane_list, lane);

struct lanes {
    struct service service;
    struct sender *sender;
    size_t max_bytes; /* a batch is closed when it is as large */
    void (*leave)(struct lanes *lanes, struct lane *lane); /* takes the open batch of the lane. Under the lock */
    struct lane *latest; /* of the message that came last; NULL: it is gone */
    struct lane_list buckets[LANES_BUCKETS]; /* by topic and queue */
    size_t n_lanes, n_open, n_held;
    struct call_list failed; /* could not be submitted; ended by the driver */
    struct partitions partitions;
    bool plain; /* the broker knows no batches */
};

/* One batch, or one message of a batch that was refused. */
struct batch_call {
    struct call call;
    struct lanes *lanes;
    struct lane *lane;
    struct listener *listeners; /* n of them, owned */
    size_t n, bytes;
    int64_t opened_us; /* when the first of its messages was handed over */
    size_t record_bytes; /* at the end of the frame; 0: a `send` */
};

/* leave is called when a lane is to be closed. */
void lanes_init(struct lanes *lanes, struct sender *s, const hmq_options *options,
                void (*leave)(struct lanes *lanes, struct lane *lane));
void lanes_start(struct lanes *lanes);

/* Nothing is under way any more. */
void lanes_stop(struct lanes *lanes);

/* Under the lock: takes the message, for which `bytes` are reserved. HMQ_EAGAIN: it must go by itself.
 * HMQ_ENOMEM. */
enum hmq_status lanes_add(struct lanes *lanes, const char *topic, struct message *m, size_t bytes,
                          int64_t deadline_ms, struct listener listener);

/* Under the lock: closes what is open; of this topic, or (NULL) all. */
void lanes_close(struct lanes *lanes, const char *topic);

/*
 * Under the lock: submits a call of a lane, or where status says that it could not be made, and where it cannot
 * be submitted, leaves it to the driver to end: callbacks run on its thread only.
 */
void lanes_submit(struct lanes *lanes, struct batch_call *b, enum hmq_status status);

/* Under the lock: the same, but an ORDER lane that has something under way holds it until that is answered. */
void lanes_submit_in_turn(struct lanes *lanes, struct batch_call *b, enum hmq_status status);

/* Under the lock: the lane of an ORDER key that has something under way, so that a message of the key which does not
 * fit into a batch must wait for its turn there. NULL: there is none. */
struct lane *lanes_busy(struct lanes *lanes, const char *topic, struct slice order);

/* Under the lock: a call of the lane was answered. */
void lanes_answered(struct lanes *lanes, struct lane *lane);

#endif
