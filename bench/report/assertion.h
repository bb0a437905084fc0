/*
 * assertion.h: --assert, a bound that a run has to keep: `p99<5ms`, `half_commit.p999<=20ms`,
 * `messages_per_s>100k`, `lost=0`.
 */
#ifndef HALFMQ_BENCH_ASSERTION_H
#define HALFMQ_BENCH_ASSERTION_H

#include "bench/run/result.h"

/* False: it cannot be read, or names no value; the reason was printed on stderr. */
bool assertion_sane(const char *text);

/* True: the run kept the bound. If not, prints on stderr what the value was. */
bool assertion_kept(const struct result *r, const char *text);

#endif
