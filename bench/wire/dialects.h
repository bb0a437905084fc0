/* dialects.h: which dialects there are. */
#ifndef HALFMQ_BENCH_DIALECTS_H
#define HALFMQ_BENCH_DIALECTS_H

#include "bench/wire/dialect.h"

/* By its name; NULL: there is no such dialect. */
const struct wire_dialect *dialect_find(const char *name);

#endif
