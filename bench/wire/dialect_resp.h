/* dialect_resp.h: RESP to HalfMQ. */
#ifndef HALFMQ_BENCH_DIALECT_RESP_H
#define HALFMQ_BENCH_DIALECT_RESP_H

#include "bench/wire/dialect.h"

extern const struct wire_dialect dialect_resp;

#endif
