/* mono.h: the monotonic clock, with which everything is measured; it never jumps. */
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
