/*
 * prng.h: chance that can be repeated. A test seeds from prng_start, which prints the seed; the same
 * run comes again with HALFMQ_SEED=<seed> in the environment.
 */
#ifndef HALFMQ_TESTS_PRNG_H
#define HALFMQ_TESTS_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

/* From HALFMQ_SEED, or else from the clock; says on stderr which. */
struct prng prng_start(void);
struct prng prng_from(uint64_t seed);

uint64_t prng_next(struct prng *p);

/* 0 .. n-1; n >= 1 */
uint64_t prng_below(struct prng *p, uint64_t n);

void prng_fill(struct prng *p, void *bytes, size_t n);

#endif
