/*
 * via_link.h: a connection of a load through libhalfmq, and how its role counts.
 *
 * The library calls back on threads of its own, so counts are atomic and the worker's meter has a lock. At a million
 * messages a second that would be measured as well, while the tester's own wire has one thread and counts without any: in
 * a closed loop the client's thread counts for itself, hands that over now and then, and times one message in VIA_TIMED or
 * one transaction in VIA_TXN_TIMED. The worker's thread then only looks on, every VIA_DOZE_MS.
 */
#ifndef HALFMQ_BENCH_VIA_LINK_H
#define HALFMQ_BENCH_VIA_LINK_H

#include "bench/base/pace.h"
#include "bench/base/units.h"
#include "bench/load/worker.h"
#include "clients/c/halfmq.h"

#define VIA_TIMED 64u
#define VIA_TXN_TIMED 16u
#define VIA_DOZE_MS 4

struct via_link;

/* What a connection does, from opening to closing; all on the worker's thread. */
struct via_role {
    bool (*open)(struct via_link *v, hmq_options *options); /* false: v->err says why */
    void (*run)(struct via_link *v); /* from the start until the budget or the time is used up */
    void (*close)(struct via_link *v);
};

struct via_link {
    struct worker *worker;
    hmq_client *client;
    hmq_error err;
    struct pace pace;
    struct chance chance;
    uint64_t seq; /* of the next body */
    _Atomic int64_t clock_ns; /* when someone last looked */
    uint64_t share; /* of the ops in flight */
    _Atomic uint64_t done, bytes, failed, rolled_back; /* since the worker last took them over */
    pthread_mutex_t lock; /* for the worker's meter */
    union {
        hmq_producer *producer;
        hmq_consumer *consumer;
        struct via_txn *txn;
    };
};

/* Sets an option to a number; false: it cannot be, v->err says why. */
bool via_option(struct via_link *v, hmq_options *options, const char *name, uint64_t value);

/* Writes the next body into out. Returns its size. */
size_t via_body(struct via_link *v, int64_t intended_ns, uint8_t *out);

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

/* Waits for a moment: via_rest before something is due, via_doze where there is nothing to do but to look. */
void via_rest(void);
void via_doze(void);

#endif
