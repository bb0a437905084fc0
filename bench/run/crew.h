/*
 * crew.h: the workers of a load with their links: made, started, woken and joined together. Main thread.
 */
#ifndef HALFMQ_BENCH_CREW_H
#define HALFMQ_BENCH_CREW_H

#include "bench/load/worker.h"

struct crew {
    struct load *load;
    struct worker *workers;
    unsigned n_workers, n_started;
    unsigned n_links;
};

/* Makes the workers and their links, which share ops, rate and keys evenly. False: no memory, or too few file
 * descriptors; crew_fini it anyway. */
bool crew_init(struct crew *c, struct load *load, unsigned n_workers);
void crew_fini(struct crew *c);

/* Starts a thread for each worker. False: one could not be started, err tells why; crew_join those that were. */
bool crew_start(struct crew *c, char *err, size_t err_size);

void crew_wake(struct crew *c);

/* Wakes them, and waits until all threads have ended. */
void crew_join(struct crew *c);

#endif
