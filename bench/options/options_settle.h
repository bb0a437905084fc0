/* options_settle.h: completes and checks options that depend on one another. */
#ifndef HALFMQ_BENCH_OPTIONS_SETTLE_H
#define HALFMQ_BENCH_OPTIONS_SETTLE_H

#include "bench/options/options.h"

/* Fills in options that depend on others (0 means "you choose"). False: some options contradict one another; the
 * reason was printed on stderr. */
bool options_settle(struct options *o);

#endif
