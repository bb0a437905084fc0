/* options_settle.h: what depends on several options at once. */
#ifndef HALFMQ_BENCH_OPTIONS_SETTLE_H
#define HALFMQ_BENCH_OPTIONS_SETTLE_H

#include "bench/options/options.h"

/* Fills in what depends on other options (0 means "you choose"), and says what cannot be together
 * on stderr. */
bool options_settle(struct options *o);

#endif
