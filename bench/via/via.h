/*
 * via.h: a load through libhalfmq (--via lib), as an application puts it on: a client for each connection, to which
 * messages are handed over, and which calls back.
 *
 *   worker (thread of the load) ──hmq_send_async──► hmq_client ──► callbacks ──► via_count, via_time
 *
 *   via.c           the thread: opens its clients, waits for the start, closes them
 *   via_loop.c      clients that the thread drives on its epoll set, where it has several
 *   via_link.c      what the roles have in common: counts, times, seconds
 *   via_send.c      asynchronous sends; the library makes the batches
 *   via_consume.c   a consumer whose handler acknowledges
 *   via_txn.c       half messages and decisions, asynchronously
 *
 * Who drives the clients follows --threads, as on the tester's own wire: a thread that has several connections drives them
 * all by hmq_client_new_loop, and one that has a single one leaves that to the client's own thread. An open loop, and
 * keys, always have a thread for each connection, as they wait where the library is full; consumers have unless --threads
 * says otherwise.
 *
 * The wire is the library's: what a message costs beyond halfmq-bench's own wire is what libhalfmq costs.
 */
#ifndef HALFMQ_BENCH_VIA_H
#define HALFMQ_BENCH_VIA_H

/* The main function of a worker's thread, as turn_main is on the tester's own wire. */
void *via_main(void *worker);

#endif
