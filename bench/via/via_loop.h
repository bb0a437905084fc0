/*
 * via_loop.h: a client on the epoll set of its worker's thread, by the adapter that applications have for that.
 */
#ifndef HALFMQ_BENCH_VIA_LOOP_H
#define HALFMQ_BENCH_VIA_LOOP_H

#include "bench/via/via_link.h"

/* Makes v->client, and waits until it is connected. False: v->err says why. */
bool via_loop_open(struct via_link *v, hmq_options *options);

/* Drives all clients of the thread until then (mono_ns). */
void via_loop_run(struct via_thread *t, int64_t until_ns);

/* After the client is freed. */
void via_loop_close(struct via_link *v);

#endif
