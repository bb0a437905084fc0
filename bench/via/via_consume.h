/* via_consume.h: the role that consumes through libhalfmq. */
#ifndef HALFMQ_BENCH_VIA_CONSUME_H
#define HALFMQ_BENCH_VIA_CONSUME_H

#include "bench/via/via_link.h"

extern const struct via_role via_role_consume;

#endif
