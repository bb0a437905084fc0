/*
 * ending.h: the reports of a result, and the exit status it earns.
 */
#ifndef HALFMQ_BENCH_ENDING_H
#define HALFMQ_BENCH_ENDING_H

#include "bench/run/result.h"

enum ending {
    ENDING_GOOD = 0,
    ENDING_FAILED =
        1, /* could not run, or errors, or something lost, doubled, reordered, damaged */
    ENDING_USAGE = 2,
    ENDING_MISSED = 3 /* an --assert did not hold */
};

/* Prints, writes the files, looks at the asserts. */
int ending_of(const struct result *r);

#endif
