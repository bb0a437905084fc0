/*
 * metrics.h: counters and gauges of this process. One table (metrics.def) yields names, types, HELP.
 *
 * Each loop owns a *cell*: only its thread writes it, with relaxed atomics and without sharing a cache
 * line; /metrics and INFO sum the cells. What the journal and the store count is asked of them.
 */
#ifndef HALFMQ_BROKER_METRICS_H
#define HALFMQ_BROKER_METRICS_H

#include <stdatomic.h>

#include "protocol/base/buf.h"
#include "protocol/status.h"

enum metric_id {
#define METRIC(id, name, type, help) METRIC_##id,
#include "broker/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics_cell {
    _Alignas(64) _Atomic uint64_t v[METRIC_COUNT];
    _Atomic uint64_t errors[ST_WIRE_COUNT]; /* replies by code */
};

static inline void metrics_add(struct metrics_cell *c, enum metric_id id, uint64_t n)
{
    uint64_t was = atomic_load_explicit(&c->v[id], memory_order_relaxed);
    atomic_store_explicit(&c->v[id], was + n, memory_order_relaxed);
}

static inline void metrics_sub(struct metrics_cell *c, enum metric_id id, uint64_t n)
{
    metrics_add(c, id, (uint64_t)0 - n);
}

static inline void metrics_error(struct metrics_cell *c, enum status s)
{
    if (s < ST_WIRE_COUNT)
        atomic_fetch_add_explicit(&c->errors[s], 1, memory_order_relaxed);
}

struct server;

uint64_t metrics_sum(const struct server *s, enum metric_id id);

/* Prometheus text 0.0.4: everything of this broker. Main thread (it reads the store for the lag). */
void metrics_write(struct server *s, struct buf *out);

#endif
