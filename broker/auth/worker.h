/*
 * worker.h: one thread that does what would hold up a loop: hashes passwords and checks tokens.
 *
 *                      hold_ms > 0                   due
 *   worker_give ──┬──────────────────► held ──────────────────┐
 *                 │                                           ▼
 *                 └────────────────────────────► queue ──► work ──┬─────────────────────► done
 *                                        quick jobs first         │ work set hold_ms   ▲
 *                                                                 └────────► held ─────┘ due
 *
 * One thread and no more: hashing takes a whole processor, and whoever tries passwords must not get all of them. Jobs
 * that are quick (tokens) go before those that are slow.
 *
 * Invariants
 *   1. Each job that was taken is done once, by this thread or by the one that stops it.
 *   2. Bounds: WORKER_QUEUE_MAX jobs in the queue (with today's cost some eight seconds of work), WORKER_HELD_MAX held.
 *      Beyond either a job is dropped: it is done without having been worked on, and the client is told BUSY.
 *   3. No job is touched after its done was called: it belongs to whoever that told.
 *
 * Threads: any may give; work and done are called on the worker's.
 */
#ifndef HALFMQ_BROKER_WORKER_H
#define HALFMQ_BROKER_WORKER_H

#include "protocol/base/heap.h"
#include "protocol/status.h"

#define WORKER_QUEUE_MAX 128
#define WORKER_HELD_MAX 1024

struct worker_job {
    struct heap_node due; /* first: a node is its job */
    struct worker_job *next;
    bool quick;
    bool worked, dropped; /* the worker's; dropped: work was not called */
    int64_t hold_ms; /* before work, as given; after it, what work has set */
    void (*work)(struct worker_job *j);
    void (*done)(struct worker_job *j); /* must not wait */
};

struct auth_worker;

/* NULL: no memory or no thread. */
struct auth_worker *worker_new(void);

/* Takes a job: due, next and the worker's fields need not be set. ST_BUSY: full, or stopped; the job stays the caller's. */
enum status worker_give(struct auth_worker *w, struct worker_job *j) MUST_CHECK;

/* Drops what waits, lets what is under way end, and takes no more. May be called again. */
void worker_stop(struct auth_worker *w);
void worker_free(struct auth_worker *w); /* stops it; NULL is fine */

#endif
