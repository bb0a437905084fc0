/*
 * txids.h: the transactions that were left undecided, and when the broker is due to ask about each.
 */
#ifndef HALFMQ_BENCH_TXIDS_H
#define HALFMQ_BENCH_TXIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct txids;

struct txids *txids_new(void); /* NULL: no memory */
void txids_free(struct txids *t);

/* Any thread. False: no memory. txid > 0. */
bool txids_put(struct txids *t, uint64_t txid, int64_t due_ns);

/* Removes it and gives its time. False: it is not there. */
bool txids_take(struct txids *t, uint64_t txid, int64_t *ret_due_ns);

size_t txids_count(struct txids *t);

#endif
