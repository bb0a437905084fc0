/*
 * search.h: the mode search: finds the highest rate whose p99 stays under a bound.
 *
 *   half of what a closed loop reaches ─► doubled until it does not hold ─► the gap between
 *   the highest that held and the lowest that did not, halved again and again
 *
 * A rate holds when p99, counted from the intended start, is under the bound, at least 98 % of the rate was reached,
 * and nothing failed, in one of two tries. The result that is reported is that of the highest rate that held.
 */
#ifndef HALFMQ_BENCH_SEARCH_H
#define HALFMQ_BENCH_SEARCH_H

#include <stdbool.h>

struct options;

/* Returns the exit status. */
int search_main(const struct options *o);

/* The next rate to try; 0: the search is precise enough. held: the highest rate that held (0: none yet); failed: the
 * lowest that did not (0: none yet). */
double search_next(double first, double held, double failed, double precision);

#endif
