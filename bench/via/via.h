/*
 * via.h: a load through libhalfmq (--via lib), as an application puts it on: a thread for each connection, which has a
 * client, and hands messages over to it or waits for what it delivers.
 *
 *   worker (thread of the load) ──hmq_send_async──► hmq_client ──(its I/O thread)──► via_count, via_time
 *     waits while the library says that it is full
 *
 *   via.c           the thread: opens the client, waits for the start, closes
 *   via_link.c      what the roles have in common: counts, times, seconds
 *   via_send.c      asynchronous sends; the library makes the batches
 *   via_consume.c   a consumer whose handler acknowledges
 *   via_txn.c       half messages and decisions, asynchronously
 *
 * The wire is the library's: what a message costs beyond halfmq-bench's own wire is what libhalfmq costs.
 */
#ifndef HALFMQ_BENCH_VIA_H
#define HALFMQ_BENCH_VIA_H

/* The main function of a worker's thread, as turn_main is on the tester's own wire. */
void *via_main(void *worker);

#endif
