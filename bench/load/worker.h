/*
 * worker.h: a thread's part of a load: its connections, its counts, its reminders, and the space in which it makes
 * messages. Only its own thread touches it while the load runs, but for worker_wake.
 *
 * A reminder lies in its owner, a link or an op, and is due once: the thread takes it out of the heap and calls
 * link_remind with it. It is not cancelled when its owner ends before that; link_remind looks whether there is
 * still something to do.
 */
#ifndef HALFMQ_BENCH_WORKER_H
#define HALFMQ_BENCH_WORKER_H

#include <pthread.h>

#include "bench/load/load.h"
#include "bench/measure/meter.h"
#include "protocol/base/heap.h"

struct load_link;

struct reminder {
    struct heap_node node; /* in its worker's heap */
    struct load_link *link;
    uint32_t what; /* number of an op, or one of those below */
};

#define REMIND_CONNECT UINT32_MAX /* try again to connect */
#define REMIND_START (UINT32_MAX - 1) /* an op may start now */

struct worker {
    struct load *load;
    pthread_t thread;
    unsigned index;
    int epoll, wake; /* wake: an eventfd */
    struct heap reminders; /* with room for all of its links and ops, so that adding one cannot fail */
    struct meter meter;
    struct load_link *links;
    unsigned n_links, n_done;
    int64_t now_ns, next_second_ns;
    uint8_t *space; /* bodies of one batch, each as long as the longest */
    struct slice *bodies; /* as many as a batch has */
    struct slice *receipts; /* COUNT_MAX of them */
    struct buf record, starts; /* a batch that is being made */
    bool filled; /* space holds filler: bodies need only their heads */
};

/* w is all zero. False: no memory, or no file descriptor; worker_fini it anyway. The links are the caller's. */
bool worker_init(struct worker *w, struct load *load, unsigned index);
void worker_fini(struct worker *w);

/* Wakes its thread. Any thread may call. */
void worker_wake(struct worker *w);

/* Sets the reminder to that time; it must not be set already. */
void worker_remind(struct worker *w, struct reminder *r, int64_t at_ns);

static inline bool reminder_set(const struct reminder *r)
{
    return heap_has(&r->node);
}

/* Removes the earliest reminder that is due from the heap; NULL: none is due. */
struct reminder *worker_due(struct worker *w);

/* Hands over each second that has passed since the measurement began. What was counted in the warm-up is thrown
 * away. */
void worker_pass_seconds(struct worker *w);

/* Gives up when nothing has been sent, received or decided for --patience, instead of waiting for ever. */
void worker_watch_progress(struct worker *w);

/* Counts an error: a reply of the broker, or something that must not happen. */
void worker_trouble(struct worker *w, struct slice text);

#endif
