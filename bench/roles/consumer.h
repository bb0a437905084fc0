/* consumer.h: the role that takes messages by POP and acknowledges them. */
#ifndef HALFMQ_BENCH_CONSUMER_H
#define HALFMQ_BENCH_CONSUMER_H

#include "bench/load/role.h"

extern const struct role role_consumer;

#endif
