/* dialect_redis.h: RESP to a Redis, with streams in the place of topics. */
#ifndef HALFMQ_BENCH_DIALECT_REDIS_H
#define HALFMQ_BENCH_DIALECT_REDIS_H

#include "bench/wire/dialect.h"

extern const struct wire_dialect dialect_redis;

#endif
