/*
 * run.h: runs one load, from the first connection to the last reply.
 */
#ifndef HALFMQ_BENCH_RUN_H
#define HALFMQ_BENCH_RUN_H

#include "bench/run/result.h"

/*
 * Runs the load and fills *ret_result (zeroed by the caller; result_fini it in any case). redis: the server at
 * --port is one. False: it could not begin; err says why. If a run was given up half way, the function returns true
 * and result->fatal says why. Main thread; ends early on SIGINT and SIGTERM.
 */
bool run_load(const struct options *o, enum mode mode, bool redis, struct result *ret_result,
              char *err, size_t err_size);

/* True after SIGINT or SIGTERM. Callers that run several loads then stop. */
bool run_interrupted(void);

#endif
