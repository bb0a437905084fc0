/* mono.h: the clock that everything here is measured with; it never steps. */
#ifndef HALFMQ_BENCH_MONO_H
#define HALFMQ_BENCH_MONO_H

#include <stdint.h>
#include <time.h>

static inline int64_t mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
