/*
 * assertion.h: a bound that a run has to keep: `p99<5ms`, `half_commit.p999<=20ms`,
 * `messages_per_s>100k`, `lost=0`.
 */
#ifndef HALFMQ_BENCH_ASSERTION_H
#define HALFMQ_BENCH_ASSERTION_H

#include "bench/run/result.h"

/* False: it makes no sense; said on stderr. */
bool assertion_sane(const char *text);

/* True: kept. Says on stderr what was missed. */
bool assertion_kept(const struct result *r, const char *text);

#endif
