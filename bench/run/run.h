/*
 * run.h: one load, from the first connection to the last answer.
 */
#ifndef HALFMQ_BENCH_RUN_H
#define HALFMQ_BENCH_RUN_H

#include "bench/run/result.h"

/*
 * Puts the load on and fills *ret_result (zeroed by the caller; result_fini it in any case). redis:
 * --port is one. False: it could not even begin; err tells why. A run that was given up half way is
 * true, with result->fatal. Main thread; ends early on SIGINT and SIGTERM.
 */
bool run_load(const struct options *o, enum mode mode, bool redis, struct result *ret_result,
              char *err, size_t err_size);

/* True after SIGINT or SIGTERM: whoever runs several loads stops then. */
bool run_interrupted(void);

#endif
