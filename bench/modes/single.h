/*
 * single.h: one load, one result: send, consume, txn, e2e, verify, and redis beside no HalfMQ.
 */
#ifndef HALFMQ_BENCH_SINGLE_H
#define HALFMQ_BENCH_SINGLE_H

#include <stdbool.h>

struct options;

/* redis: the server at --port is one. Returns the exit status. */
int single_main(const struct options *o, bool redis);

#endif
