/*
 * ending.h: ends a run: writes the reports of its result, and returns the exit status.
 */
#ifndef HALFMQ_BENCH_ENDING_H
#define HALFMQ_BENCH_ENDING_H

#include "bench/run/result.h"

enum ending {
    ENDING_GOOD = 0,
    ENDING_FAILED =
        1, /* it could not run, there were errors, or messages were lost, doubled, reordered or damaged */
    ENDING_USAGE = 2,
    ENDING_MISSED = 3 /* an --assert did not hold */
};

/* Prints the table, writes the files, checks the asserts. */
int ending_of(const struct result *r);

#endif
