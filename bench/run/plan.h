/*
 * plan.h: what follows from the mode and the options: which roles take part, with how many connections and ops,
 * and what of a load they need.
 *
 *   send                producer
 *   consume             consumer, or streamer where messages are taken from streams
 *   txn                 transactor, and a checker where some are left undecided
 *   e2e, verify         producer, consumer
 */
#ifndef HALFMQ_BENCH_PLAN_H
#define HALFMQ_BENCH_PLAN_H

#include "bench/load/load.h"
#include "bench/load/role.h"
#include "bench/measure/meter.h"

#define PLAN_PARTS_MAX 2

/* A role that takes part. */
struct plan_part {
    const struct role *role;
    uint64_t links, ops; /* ops: of all links together */
};

/* The latency that a load is about. */
enum latency plan_latency(const struct options *o, enum mode mode, bool redis);

/* Fills in what of the load depends on the roles, after load_init. False: no memory; plan_fini it anyway. */
bool plan_init(struct load *load, bool redis);
void plan_fini(struct load *load);

/* The roles of the load, in parts[PLAN_PARTS_MAX]. Returns how many. */
unsigned plan_parts(const struct load *load, struct plan_part *parts);

/* Keys that one producer of verify has to itself: at least one for each of its ops. */
uint32_t plan_keys_a_link(const struct load *load);

#endif
