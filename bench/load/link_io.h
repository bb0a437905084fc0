/*
 * link_io.h: the socket of a link. All in the worker's thread.
 */
#ifndef HALFMQ_BENCH_LINK_IO_H
#define HALFMQ_BENCH_LINK_IO_H

#include "bench/load/link.h"

/* Begins to connect; link_event finishes it. */
void link_connect(struct load_link *l);

/* epoll's events for the link's socket. */
void link_event(struct load_link *l, uint32_t events);

/* A reminder of the link or of one of its ops is due and was taken out of the heap. */
void link_remind(struct reminder *due);

/* Writes what was asked, as much as the socket takes. */
void link_flush(struct load_link *l);

void link_close(struct load_link *l);

#endif
