/*
 * beside.h: the mode redis: the same load on a Redis, alone or in turns with HalfMQ. The turns give a ratio that does
 * not depend on slow phases of the machine.
 */
#ifndef HALFMQ_BENCH_BESIDE_H
#define HALFMQ_BENCH_BESIDE_H

struct options;

/* Returns the exit status. */
int beside_main(const struct options *o);

#endif
