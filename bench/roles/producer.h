/* producer.h: the role that sends: messages, batches, records. */
#ifndef HALFMQ_BENCH_PRODUCER_H
#define HALFMQ_BENCH_PRODUCER_H

#include "bench/load/role.h"

extern const struct role role_producer;

#endif
