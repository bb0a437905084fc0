/* transactor.h: the role that runs transactions: HALF, then COMMIT or ROLLBACK. */
#ifndef HALFMQ_BENCH_TRANSACTOR_H
#define HALFMQ_BENCH_TRANSACTOR_H

#include "bench/load/role.h"

extern const struct role role_transactor;

#endif
