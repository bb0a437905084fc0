/* via_txn.h: the role that opens and decides transactions through libhalfmq. */
#ifndef HALFMQ_BENCH_VIA_TXN_H
#define HALFMQ_BENCH_VIA_TXN_H

#include "bench/via/via_link.h"

extern const struct via_role via_role_txn;

#endif
