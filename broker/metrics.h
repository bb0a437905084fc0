/*
 * metrics.h: /metrics, and the sums of what the threads count (broker/base/counters.h).
 */
#ifndef HALFMQ_BROKER_METRICS_H
#define HALFMQ_BROKER_METRICS_H

#include "broker/base/counters.h"
#include "protocol/base/buf.h"

struct server;

/* One counter of all threads together. Any thread. */
uint64_t metrics_sum(const struct server *s, enum counter_id id);

/* Prometheus text 0.0.4: everything of this broker. Main thread (it reads the store for the lag). */
void metrics_write(struct server *s, struct buf *out);

#endif
