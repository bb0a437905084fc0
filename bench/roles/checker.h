/* checker.h: the role that answers the broker's check-backs. */
#ifndef HALFMQ_BENCH_CHECKER_H
#define HALFMQ_BENCH_CHECKER_H

#include "bench/load/role.h"

extern const struct role role_checker;

#endif
