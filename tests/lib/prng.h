/*
 * prng.h: random numbers that can be repeated. prng_start prints the seed of a test; HALFMQ_SEED=<seed> in the
 * environment repeats the run.
 */
#ifndef HALFMQ_TESTS_PRNG_H
#define HALFMQ_TESTS_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

/* Takes the seed from HALFMQ_SEED, otherwise from the clock, and prints it to stderr. */
struct prng prng_start(void);
struct prng prng_from(uint64_t seed);

/* The same for one of many histories: if the process aborts, wherever that is, it prints this seed first. */
struct prng prng_history(uint64_t seed);

uint64_t prng_next(struct prng *p);

/* 0 .. n-1; n >= 1 */
uint64_t prng_below(struct prng *p, uint64_t n);

void prng_fill(struct prng *p, void *bytes, size_t n);

#endif
