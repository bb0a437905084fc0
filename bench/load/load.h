/*
 * load.h: one running load: what all of its threads and connections share.
 *
 *   load ──┬── worker (thread: epoll, reminders, meter) ──┬── link (a connection, a role) ──┬── op
 *          │                                              ├── link                          ├── op
 *          └── worker                                     └── ...                           └── ...
 *
 *   this file   what is shared: options, budget, clock times, what verify and txn remember
 *   worker.h    a thread's part of it
 *   link.h      a connection and its ops: the requests, batches or transactions in flight
 *   link_io.h   the connection's socket: connect, write, read, connect again
 *   pump.h      when a link starts its next op
 *   turn.h      what a thread does, over and over
 *   role.h      what an op is: a table of functions; bench/roles/ has them
 *
 * Each one calls only those above it in this list, and the functions of a role. A link and its ops belong to
 * their worker's thread; of struct load, what changes while it runs is atomic or has a lock of its own.
 *
 * To add a mode: a line in mode.def, a role if none fits, and a line in plan_parts (bench/run/plan.c).
 */
#ifndef HALFMQ_BENCH_LOAD_H
#define HALFMQ_BENCH_LOAD_H

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "bench/measure/series.h"
#include "bench/measure/troubles.h"
#include "bench/options/body.h"
#include "bench/options/options.h"
#include "bench/wire/dialect.h"

struct oracle;
struct txids;

struct load {
    const struct options *o;
    const struct wire_dialect *dialect;
    enum mode mode; /* send, consume, txn, e2e or verify */
    struct slice topic, group, pgroup;
    uint32_t id; /* in the bodies */
    struct sockaddr_storage address;
    socklen_t address_len;
    int family;

    struct body_pool pool;
    struct keys keys;
    struct oracle *oracle; /* verify, else NULL */
    struct txids *txids; /* txn with an undecided share, else NULL */
    struct series series;
    struct troubles troubles;
    enum latency main; /* what its latency figures are about */
    bool produce; /* a batch is sent as one record */
    uint32_t order_queues; /* verify with records: over how many queues of the topic ORDER keys are spread */
    bool streams; /* consume takes from streams */
    bool one_by_one; /* a batch is several requests: keys and priorities want it so; DEDUP ids and tags where it is no record */

    int64_t begin_ns, measure_ns, stop_ns; /* set before go */
    _Atomic bool go, abort;
    sem_t ended; /* posted by each worker when it ends */
    _Atomic unsigned links_up; /* links that have connected once */
    _Atomic unsigned senders; /* producers and transactors that are not done */
    _Atomic int64_t budget; /* messages that may still be begun */
    _Atomic uint64_t started, sent, taken;
    _Atomic int64_t progress_ns; /* when a message was last sent, received or decided */
};

/* redis: the server is one. plan_init fills in what depends on the roles. False: no memory; load_fini it anyway. */
bool load_init(struct load *load, const struct options *o, enum mode mode, bool redis, unsigned n_workers);
void load_fini(struct load *load);

/* True if what began then is counted. */
static inline bool load_measures(const struct load *load, int64_t intended_ns)
{
    return intended_ns >= load->measure_ns;
}

/* Takes up to n messages from the budget for something that begins then. Returns how many it took; 0: none is
 * left, or the time is over. */
uint32_t load_claim(struct load *load, uint32_t n, int64_t intended_ns);

/* Gives n messages back to the budget. */
void load_unclaim(struct load *load, uint32_t n);

/* Ends the load with a reason, which the report shows. Any thread. */
void load_fail(struct load *load, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
