/*
 * beside.h: the same load on a Redis: alone, or in turns with HalfMQ for a ratio that a slow spell
 * of the machine does not spoil.
 */
#ifndef HALFMQ_BENCH_BESIDE_H
#define HALFMQ_BENCH_BESIDE_H

struct options;

/* The exit status. */
int beside_main(const struct options *o);

#endif
