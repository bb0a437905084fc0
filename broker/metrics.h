/*
 * metrics.h: the page /metrics, and sums over the counters of all threads (broker/base/counters.h).
 */
#ifndef HALFMQ_BROKER_METRICS_H
#define HALFMQ_BROKER_METRICS_H

#include "broker/base/counters.h"
#include "protocol/base/buf.h"

struct server;

/* One counter of all threads together. Any thread. */
uint64_t metrics_sum(const struct server *s, enum counter_id id);

/* The whole page, as Prometheus text 0.0.4. Main thread: it reads the store for the lag. */
void metrics_write(struct server *s, struct buf *out);

#endif
