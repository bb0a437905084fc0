/*
 * core.h: what is pending, without a socket, a clock, a thread or a lock.
 *
 *   submit ─► queue ──gather/wrote──► (the socket) ─► sent ──answer──► done
 *                ▲                                     │
 *                └───────────── lost ──────────────────┘
 *
 * The owner (driver.c) moves the bytes, tells the time and holds the lock; whatever ends here is
 * handed back as a list of calls for the owner to finish after unlocking.
 *
 * Order: calls are written in the order of submit. After a lost connection the repeatable ones are
 * written again in that same order, before anything newer.
 *
 * Bounds: max_pending calls and max_pending_bytes of frames; submit refuses what would pass them (a
 * call alone always passes). Inner calls are not counted against the bounds: there are few.
 */
#ifndef HALFMQ_CLIENTS_C_CORE_H
#define HALFMQ_CLIENTS_C_CORE_H

#include <sys/uio.h>

#include "clients/c/wire/call.h"

#define CORE_NEVER INT64_MAX
#define CORE_NOW 0 /* as a time when something is due: long past */

struct core {
    size_t max_pending, max_pending_bytes, batch_bytes; /* set by the owner after init */
    uint64_t random; /* state of the jitter; any value */

    struct call_list queue; /* to be written; of the first, `head_done` bytes are written */
    struct call_list sent; /* written, in that order */
    struct call_list paused; /* BUSY: to be queued again */
    struct hash ids;
    struct heap timers;
    size_t head_done;
    struct buf rest; /* what is left to write of a frame whose call is gone */
    size_t rest_done;
    size_t queued_bytes;
    size_t pending, pending_bytes; /* calls that somebody waits for, inner ones included */
    int64_t flush_at; /* when the queue is to be written; CORE_NEVER where it is empty */
    bool broken; /* half a frame was written and the other half is lost */
    uint64_t requests, resent, responses;
};

void core_init(struct core *c);
void core_fini(struct core *c); /* after core_close */

/*
 * Takes a call whose frame and deadline are set. It is to be written linger_ms from now at the latest.
 * HMQ_EAGAIN, HMQ_ENOMEM: nothing was done and the call is still the caller's.
 */
enum hmq_status core_submit(struct core *c, struct call *call, int64_t now_ms, int64_t linger_ms);

/* True where the queue should be written now, lingering over. */
bool core_flush_due(const struct core *c, int64_t now_ms);

/* When that will be; CORE_NEVER where nothing waits. */
int64_t core_next_flush(const struct core *c);

/* The bytes to write next, at most max pieces. 0: none. */
size_t core_gather(const struct core *c, struct iovec *iov, size_t max);

/* n of these bytes were written. Notes that are through go to *done. */
void core_wrote(struct core *c, size_t n, struct call_list *done);

/*
 * A response frame came. Returns the call that it ends, now TAKEN, with *ret_outcome borrowed from
 * the frame; NULL where nobody waits (the deadline passed) or where BUSY puts it on pause.
 */
struct call *core_answer(struct core *c, const struct rpc_frame *frame, int64_t now_ms,
                         struct call_outcome *ret_outcome);

/* Ends pauses and deadlines that are over; those that end go to *dead with call->status. */
void core_expire(struct core *c, int64_t now_ms, bool connected, struct call_list *dead);

/* The next time at which core_expire has something to do, or CORE_NEVER. */
int64_t core_next_expiry(const struct core *c);

/* Takes a call back before its time (QUEUED, SENT or PAUSED) and sets call->status. */
void core_cancel(struct core *c, struct call *call, bool connected);

/* The same for every call of this owner; they go to *dead. */
void core_cancel_owned(struct core *c, const void *owner, struct call_list *dead);

/* The connection is gone. What may be sent again is queued; the rest goes to *dead. */
void core_lost(struct core *c, struct call_list *dead);

/* Takes everything back. */
void core_close(struct core *c, struct call_list *dead);

#endif
