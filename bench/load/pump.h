/*
 * pump.h: when a link starts its next op. The one place where open and closed loop differ: an open loop starts
 * an op at the moment that its pace has fixed, and its latency counts from there even if the tester comes to it
 * late; a closed loop starts it now.
 */
#ifndef HALFMQ_BENCH_PUMP_H
#define HALFMQ_BENCH_PUMP_H

#include "bench/load/link.h"

/* Starts the ops that may start, and ends the link if it starts no more and has none in flight. */
void pump_link(struct load_link *l);

#endif
