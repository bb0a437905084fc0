/*
 * via_link.h: a connection of a load through libhalfmq, and how its role counts.
 *
 * Where a client has a thread of its own, and in a consumer's handler, the library calls back on other threads, so counts
 * are atomic and the worker's meter has a lock. At a million messages a second that would be measured as well, while the
 * tester's own wire has one thread and counts without any: in a closed loop the client's thread counts for itself, hands
 * that over now and then, and times one message in VIA_TIMED or one transaction in VIA_TXN_TIMED. The worker's thread then
 * only looks on, every VIA_LOOK_MS.
 */
#ifndef HALFMQ_BENCH_VIA_LINK_H
#define HALFMQ_BENCH_VIA_LINK_H

#include "bench/base/pace.h"
#include "bench/base/units.h"
#include "bench/load/worker.h"
#include "clients/c/halfmq.h"

#define VIA_TIMED 64u
#define VIA_TXN_TIMED 16u
#define VIA_LOOK_MS 4

struct via_link;
struct hmq_epoll;

/* What a connection does, from opening to closing; all on the worker's thread. */
struct via_role {
    bool (*open)(struct via_link *v, hmq_options *options); /* false: v->err says why */
    void (*begin)(struct via_link *v); /* at the start. An open loop is over when this returns */
    bool (*goes_on)(struct via_link *v); /* false: the budget or the time is used up, and nothing is under way */
    void (*close)(struct via_link *v);
};

/* A worker's thread. */
struct via_thread {
    struct worker *worker;
    bool drives; /* its clients, on worker->epoll */
    pthread_mutex_t lock; /* for the worker's meter */
    unsigned n, n_open;
    struct via_link *links;
};

struct via_link {
    struct via_thread *thread;
    struct worker *worker;
    unsigned index; /* of the connections of the load */
    hmq_client *client;
    struct hmq_epoll *adapter; /* NULL: the client has a thread of its own */
    bool connected; /* it was, once; where the worker drives it */
    hmq_error err;
    struct pace pace;
    struct chance chance;
    uint64_t seq; /* of the next body */
    _Atomic int64_t clock_ns; /* when someone last looked */
    uint64_t share; /* of the ops in flight */
    _Atomic uint64_t done, bytes, failed, rolled_back; /* since the worker last took them over */
    union {
        struct via_send *send;
        struct via_consume *consume;
        struct via_txn *txn;
    };
};

/* Sets an option to a number; false: it cannot be, v->err says why. */
bool via_option(struct via_link *v, hmq_options *options, const char *name, uint64_t value);

/* Writes the next body into worker->space. Returns its size. */
size_t via_body(struct via_link *v, int64_t intended_ns);

/* When the next op is meant to start; waits for that in an open loop. -1: there is none any more. */
int64_t via_next(struct via_link *v);

/* The time, or when someone last looked. Any thread. */
int64_t via_clock(struct via_link *v, bool exact);

/* Any thread. */
static inline void via_count(_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

/* Something that is measured took from then until now. Any thread. */
void via_time(struct via_link *v, enum latency which, int64_t begin_ns);

/* Counts an error. Any thread. */
void via_trouble(struct via_link *v, const hmq_error *err);

/* Takes the counts over, and passes each second that is over; gives up where nothing goes on. False: the load was
 * given up. */
bool via_turn(struct via_link *v);

#endif
