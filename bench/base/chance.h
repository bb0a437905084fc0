/*
 * chance.h: random numbers that can be repeated: a seed gives the same sequence on every machine.
 *
 * Each connection has a sequence of its own, derived from --seed, so that what it draws does not depend on how the
 * threads were scheduled.
 */
#ifndef HALFMQ_BENCH_CHANCE_H
#define HALFMQ_BENCH_CHANCE_H

#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

/* The stream-th sequence of a seed. */
struct chance chance_from(uint64_t seed, uint64_t stream);

uint64_t chance_next(struct chance *c);

/* 0 .. n-1; n >= 1 */
uint64_t chance_below(struct chance *c, uint64_t n);

/* 0 <= x < 1 */
double chance_unit(struct chance *c);

#endif
