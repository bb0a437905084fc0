/* chance.c: a Weyl sequence, each step scrambled (the generator known as SplitMix64). */
#include "bench/base/chance.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct chance chance_from(uint64_t seed, uint64_t stream)
{
    return (struct chance){scramble(seed) ^ scramble((stream + 1) * GOLDEN)};
}

uint64_t chance_next(struct chance *c)
{
    c->state += GOLDEN;
    return scramble(c->state);
}

uint64_t chance_below(struct chance *c, uint64_t n)
{
    /* The bias of a remainder is n / 2^64: nothing that a load test could notice. */
    return chance_next(c) % n;
}

double chance_unit(struct chance *c)
{
    return (double)(chance_next(c) >> 11) * 0x1.0p-53;
}
