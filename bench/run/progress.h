/* progress.h: prints a line a second on standard error while a load runs. */
#ifndef HALFMQ_BENCH_PROGRESS_H
#define HALFMQ_BENCH_PROGRESS_H

#include "bench/measure/series.h"
#include "bench/options/options.h"

void progress_line(const struct options *o, enum mode load, size_t i, const struct second *row);

#endif
