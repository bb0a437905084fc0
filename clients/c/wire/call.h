/*
 * call.h: one request on its way to the broker and back.
 *
 *                 written whole          answered
 *   NEW ─► QUEUED ────────────► SENT ──────────────► TAKEN ─► done()
 *            ▲ ▲  connection lost │ │ BUSY, may be         ▲
 *            │ └──(repeatable)────┘ ▼ tried again          │ deadline, cancelled,
 *            └───────────────── PAUSED ────────────────────┘ connection lost (not repeatable)
 *
 * The frame is encoded once, with an id that stays the same when it is sent again. A *note* is a frame
 * without a reply (our response to a check-back, or a notification): it has no id and no deadline, is not
 * counted as pending, is done when it is written, and is dropped with its connection.
 *
 * Invariant: a call is in exactly one of the core's lists from QUEUED to PAUSED and in none otherwise;
 * done() is called exactly once, without any lock held, and owns the call from then on.
 */
#ifndef HALFMQ_CLIENTS_C_CALL_H
#define HALFMQ_CLIENTS_C_CALL_H

#include <sys/queue.h>

#include "clients/c/wire/errors.h"
#include "protocol/base/hash.h"
#include "protocol/base/heap.h"
#include "protocol/rpc/rpc.h"

enum call_state { CALL_NEW, CALL_QUEUED, CALL_SENT, CALL_PAUSED, CALL_TAKEN };

enum call_kind {
    CALL_REQUEST,
    CALL_INNER, /* the client's own: the limits on pending requests do not hold it up */
    CALL_ENDING, /* ends work (ACK, NACK, EXTEND, REJECT, COMMIT, ROLLBACK): nor do they hold this up, or a client whose
                    producers fill the pipeline would lose its leases */
    CALL_LOGIN, /* the same, before all that waits; only right after connecting */
    CALL_NOTE /* a frame without a reply */
};

enum call_repeat {
    CALL_ONCE, /* ends with HMQ_EUNKNOWN where the connection is lost before its reply comes */
    CALL_AGAIN, /* is sent again after a reconnect */
    CALL_AGAIN_BUSY /* and after BUSY, though others may pass it meanwhile */
};

/* How a call ended. All of it is borrowed until done() returns. */
struct call_outcome {
    enum hmq_status status;
    struct slice text;
    const struct rpc_value *result; /* NULL where status is not HMQ_OK */
};

struct call {
    TAILQ_ENTRY(call) link;
    struct hash_node node; /* in the table of ids */
    struct heap_node timer; /* the deadline, or the end of a pause */
    uint32_t id;
    enum call_state state;
    enum call_kind kind;
    enum call_repeat repeat;
    bool opens_stream; /* its reply is the number of a stream */
    bool keep; /* its frame is kept until the reply comes, though it is not sent again */
    bool written; /* once or more; where it was taken back half-way, the core writes the rest */
    bool repeated; /* it was written on a connection that was lost: the broker may have done it then */
    uint8_t pauses;
    enum hmq_status status; /* why it ended, where it is TAKEN without a reply */
    int64_t deadline_ms; /* monotonic clock */
    int64_t begun_us; /* when it was handed over */
    struct buf frame;
    size_t frame_bytes; /* its length; the frame itself may be freed once it is written */
    size_t cost; /* memory that it counts for */
    const void *owner; /* whose call it is, for core_cancel_owned; NULL: nobody's */
    void (*done)(struct call *call, const struct call_outcome *outcome);
};

TAILQ_HEAD(call_list, call);

/* A call ready for its frame to be written into call->frame. */
static inline void call_init(struct call *call, uint32_t id,
                             void (*done)(struct call *call, const struct call_outcome *outcome))
{
    *call = (struct call){.id = id, .done = done};
    buf_init(&call->frame, 0);
}

/* Frees the frame; the call itself is its owner's. */
static inline void call_fini(struct call *call)
{
    buf_free(&call->frame);
}

#endif
