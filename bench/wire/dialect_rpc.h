/* dialect_rpc.h: MessagePack-RPC to HalfMQ. */
#ifndef HALFMQ_BENCH_DIALECT_RPC_H
#define HALFMQ_BENCH_DIALECT_RPC_H

#include "bench/wire/dialect.h"

extern const struct wire_dialect dialect_rpc;

#endif
