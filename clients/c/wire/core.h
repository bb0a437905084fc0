/*
 * core.h: the pending requests of a client, without a socket, a clock, a thread or a lock.
 *
 *   submit ─► queue ──gather/wrote──► (the socket) ─► sent ──answer──► done
 *                ▲                                     │
 *                └───────────── lost ──────────────────┘
 *
 * The owner (driver.c) moves the bytes, passes in the time and holds the lock. Calls that end here are put
 * into a list of the owner's, which calls their done() after unlocking.
 *
 * Order: calls are written in the order of submit. After a lost connection the repeatable ones are
 * written again in that same order, before anything newer.
 *
 * A repeated request that is refused before the broker looks whether it did it (BUSY, DISKFULL, NOAUTH, ...) ends with
 * HMQ_EUNKNOWN: the first one may have been done.
 *
 * Bounds: max_pending calls, max_pending_bytes of frames, and max_memory of frames and calls together. core_submit
 * refuses a request that would exceed them, unless nothing is pending. Notes have a bound of their own, as it is the
 * broker that causes them. Calls of other kinds are never refused: there are few.
 */
#ifndef HALFMQ_CLIENTS_C_CORE_H
#define HALFMQ_CLIENTS_C_CORE_H

#include <sys/uio.h>

#include "clients/c/wire/call.h"

#define CORE_STRAYS 64
#define CORE_NEVER INT64_MAX
#define CORE_NOW 0 /* as the time when something is due: at once */

struct core {
    size_t max_pending, max_pending_bytes, batch_bytes; /* set by the owner after init */
    size_t max_memory, max_note_memory;
    uint64_t random; /* state of the jitter; any value */

    struct call_list queue; /* to be written; `head_done` bytes of the first are written already */
    struct call_list sent; /* written, in that order */
    struct call_list paused; /* BUSY: to be queued again */
    struct hash ids;
    struct heap timers;
    size_t head_done;
    struct buf rest; /* what is left to write of a frame whose call was taken back */
    size_t rest_done;
    size_t queued_bytes;
    size_t pending, pending_bytes, memory; /* of all calls but notes */
    size_t note_memory; /* of notes */
    int64_t flush_at; /* when the queue is to be written; CORE_NEVER where it is empty */
    uint32_t strays[CORE_STRAYS]; /* requests for a stream that were taken back after they were written */
    size_t n_strays;
    bool broken; /* part of a frame was written, and there was no memory to keep the rest */
    uint64_t requests, resent, responses, unknown;
    char doubt[HMQ_ERROR_TEXT_SIZE]; /* text of the outcome that core_answer made last */
};

void core_init(struct core *c);
void core_fini(struct core *c); /* after core_close */

/*
 * Takes a call whose frame and deadline are set. It is to be written linger_ms from now at the latest, and
 * when half of its time is over.
 * HMQ_EAGAIN, HMQ_ENOMEM, HMQ_ETOOBIG: nothing was done and the call is still the caller's.
 */
enum hmq_status core_submit(struct core *c, struct call *call, int64_t now_ms, int64_t linger_ms);

/* True where a quarter of what the limits allow is free: time to wake those who wait for room. */
static inline bool core_is_roomy(const struct core *c)
{
    return c->pending / 3 <= c->max_pending / 4 && c->pending_bytes / 3 <= c->max_pending_bytes / 4 &&
           c->memory / 3 <= c->max_memory / 4;
}

/* True where the queue is to be written now. */
bool core_flush_due(const struct core *c, int64_t now_ms);

/* When that will be: at once where batch_bytes are queued; CORE_NEVER where nothing is. */
int64_t core_next_flush(const struct core *c);

/* The bytes to write next, at most max pieces. 0: none. */
size_t core_gather(const struct core *c, struct iovec *iov, size_t max);

/* n of these bytes were written. Notes that are written whole go to *done. */
void core_wrote(struct core *c, size_t n, struct call_list *done);

/*
 * A response frame came. Returns the call that it ends, now TAKEN, with *ret_outcome borrowed from the frame.
 * NULL: there is no such call (its deadline passed), or the response is BUSY and the call is tried again later.
 */
struct call *core_answer(struct core *c, const struct rpc_frame *frame, int64_t now_ms,
                         struct call_outcome *ret_outcome);

/* After core_answer found nobody: true, once, where the response tells the number of a stream that nobody wants. */
bool core_is_stray(struct core *c, uint64_t id);

/* Queues the calls whose pause is over, and moves those whose deadline passed to *dead, with call->status. */
void core_expire(struct core *c, int64_t now_ms, bool connected, struct call_list *dead);

/* The next time at which core_expire has something to do, or CORE_NEVER. */
int64_t core_next_expiry(const struct core *c);

/* Takes a QUEUED, SENT or PAUSED call back and sets call->status. */
void core_cancel(struct core *c, struct call *call, bool connected);

/* The same for every call of this owner; they go to *dead. */
void core_cancel_owned(struct core *c, const void *owner, struct call_list *dead);

/* The connection is lost. Calls that may be sent again are queued; the others go to *dead. */
void core_lost(struct core *c, struct call_list *dead);

/* Takes every call back. */
void core_close(struct core *c, struct call_list *dead);

#endif
