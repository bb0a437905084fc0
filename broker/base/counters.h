/*
 * counters.h: counters and gauges of this process. One table (counters.def) gives each its id, its name on
 * /metrics, its type and its help.
 *
 * Every thread that counts owns a `struct counters`: only that thread writes it, with relaxed atomics and
 * without sharing a cache line. Any thread may read; /metrics and INFO add them up (broker/metrics.c).
 *
 * To add one: a line in counters.def, and counters_add where it happens.
 */
#ifndef HALFMQ_BROKER_COUNTERS_H
#define HALFMQ_BROKER_COUNTERS_H

#include <stdatomic.h>

#include <stdint.h>

#include "protocol/status.h"

enum counter_id {
#define COUNTER(id, name, type, help) COUNTER_##id,
#include "broker/base/counters.def"
#undef COUNTER
    COUNTER_COUNT
};

struct counters {
    _Alignas(64) _Atomic uint64_t v[COUNTER_COUNT];
    _Atomic uint64_t errors[ST_WIRE_COUNT]; /* error replies, by code */
};

/* The owner's thread only. */
static inline void counters_add(struct counters *c, enum counter_id id, uint64_t n)
{
    uint64_t was = atomic_load_explicit(&c->v[id], memory_order_relaxed);
    atomic_store_explicit(&c->v[id], was + n, memory_order_relaxed);
}

static inline void counters_sub(struct counters *c, enum counter_id id, uint64_t n)
{
    counters_add(c, id, (uint64_t)0 - n);
}

/* Counts an error reply. A status that has no code on the wire is not counted. */
void counters_error(struct counters *c, enum status s);

/* Any thread. */
uint64_t counters_get(const struct counters *c, enum counter_id id);
uint64_t counters_get_error(const struct counters *c, enum status s);

#endif
