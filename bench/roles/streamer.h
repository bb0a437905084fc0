/* streamer.h: the role that takes messages from a stream and acknowledges them. */
#ifndef HALFMQ_BENCH_STREAMER_H
#define HALFMQ_BENCH_STREAMER_H

#include "bench/load/role.h"

extern const struct role role_streamer;

#endif
