/*
 * sender.h: what producers of both kinds share: DEDUP ids, the limits on messages under way, and closing.
 *
 *   reserve (limits) ─► encode ─► submit ─► done ─► release ─► wakes who waits for room, or to close
 *                └────► lanes.h, which makes one call of many ────┘
 *
 * A DEDUP id is "<16 random hex digits>-<sequence>". It is made when the message is handed over and is part of
 * the frame, so the message has the same one when it is sent again.
 *
 * Invariant: inflight and inflight_bytes count the asynchronous messages that are not released.
 *
 * `lock` is also that of the producer's lanes: a message is counted in and put into its batch under one lock, as taking
 * another one costs as much as either.
 */
#ifndef HALFMQ_CLIENTS_C_SENDER_H
#define HALFMQ_CLIENTS_C_SENDER_H

#include <stdatomic.h>

#include "clients/c/client/awaited.h"
#include "clients/c/client/gate.h"
#include "clients/c/wire/latency.h"

struct sender {
    struct hmq_client *client;
    struct stats_source stats;
    bool dedup, block;
    char prefix[17];
    _Atomic uint64_t sequence;
    int64_t linger_ms, checkin_ms;
    struct gate gate; /* of the public functions of its producer */
    _Atomic pthread_t teller; /* the thread that calls the application back about a message; 0, which no thread is: none */
    size_t max_inflight, max_bytes;
    pthread_mutex_t lock; /* for the rest */
    size_t room; /* small messages for which the client has said that there is room */
    size_t inflight, inflight_bytes;
    uint64_t n_done, n_failed, n_unknown, n_batches;
    struct latencies latency;
    unsigned waiting;
    bool closing;
    void (*push)(struct sender *s); /* submits what waits in open lanes; NULL: there are none. Without a lock */
};

/* An asynchronous call of a sender. */
struct send_call {
    struct call call;
    struct sender *sender;
    union {
        hmq_sent_fn sent;
        hmq_half_fn half;
        hmq_reply_fn decided;
    } fn;
    void *arg;
};

enum hmq_status sender_init(struct sender *s, struct hmq_client *c, const hmq_options *options,
                            hmq_error *err);
void sender_fini(struct sender *s);

/*
 * Around the asynchronous functions of the producer, as its gate, which they need not pass where a callback of the producer
 * calls them: what that is about is counted in until it has returned, and closing waits for that. HMQ_ECLOSED is then
 * what sender_reserve and sender_submit_ending say. False: it is being closed.
 */
static inline bool sender_tells_here(const struct sender *s)
{
    return pthread_equal(atomic_load_explicit(&s->teller, memory_order_relaxed), pthread_self());
}

static inline bool sender_enter(struct sender *s)
{
    return sender_tells_here(s) || gate_enter(&s->gate);
}

static inline void sender_leave(struct sender *s)
{
    if (!sender_tells_here(s))
        gate_leave(&s->gate, s->client);
}

/* Around callbacks about messages that are counted in. */
static inline void sender_tell(struct sender *s, bool begins)
{
    atomic_store_explicit(&s->teller, begins ? pthread_self() : 0, memory_order_relaxed);
}

/* A new DEDUP id. */
#define DEDUP_SIZE 48
void sender_dedup(struct sender *s, char *ret_id);

/* Counts a message of so many bytes in. Where there is no room, it waits for some until the deadline, if
 * block_when_full is set. HMQ_EAGAIN, HMQ_ECLOSED. sender_unreserve gives it back; after that the sender may be gone. */
enum hmq_status sender_reserve(struct sender *s, size_t bytes, int64_t deadline_ms);
void sender_unreserve(struct sender *s, size_t n, size_t bytes);

/* Under the lock: the same. sender_reserve_locked releases it while it waits. */
enum hmq_status sender_reserve_locked(struct sender *s, size_t bytes, int64_t deadline_ms);
void sender_unreserve_locked(struct sender *s, size_t n, size_t bytes);

/* Counts n messages, or a decision, that ended so; from when they were handed over until they were answered. Before they
 * are counted out. */
void sender_record(struct sender *s, size_t n, enum hmq_status status, int64_t begun_us, int64_t answered_us);

/* Adds the sender to the statistics of its client, until sender_forget. */
void sender_show(struct sender *s, enum stats_kind kind);
void sender_forget(struct sender *s);
enum hmq_status sender_stats(struct sender *s, hmq_producer_stats *stats);

/* Under the lock: counts in a request that is no message, so that closing waits for it as well; sender_unreserve ends it. */
void sender_hold_locked(struct sender *s);

/* True once it is being closed: what has not been submitted is not submitted any more. */
bool sender_is_closing(struct sender *s);

/* A call for sender_submit; NULL: no memory. */
struct send_call *sender_call(struct sender *s, int64_t timeout_ms,
                              void (*done)(struct call *call, const struct call_outcome *outcome),
                              void *arg);

/* Reserves room (waiting for it where the option says so) and submits. On failure the call is freed. */
enum hmq_status sender_submit(struct sender *s, struct send_call *call, int64_t linger_ms,
                              hmq_error *err);

/* The same for what ends work: it is counted, but the limits do not hold it up. */
enum hmq_status sender_submit_ending(struct sender *s, struct send_call *call, hmq_error *err);

/* The same where its frame's bytes are reserved already. */
enum hmq_status sender_submit_reserved(struct sender *s, struct send_call *call, int64_t linger_ms,
                                       hmq_error *err);

/* The end of done(): frees the call and counts it out. */
void sender_release(struct send_call *call);

enum hmq_status sender_flush(struct sender *s, int64_t timeout_ms, hmq_error *err);

/* A request whose caller waits (awaited.h), for a function of the producer. HMQ_EWOULDBLOCK, HMQ_ECLOSED, HMQ_ENOMEM. */
enum hmq_status sender_await_call(struct sender *s, struct awaited *w, int64_t timeout_ms, hmq_error *err);

/* Flushes, takes back what is not answered, and waits until the last callback has run. Other threads that wait in a
 * function of the producer leave it, with HMQ_ECLOSED or HMQ_EUNKNOWN. */
enum hmq_status sender_close(struct sender *s, int64_t timeout_ms, hmq_error *err);

#endif
