/*
 * memory.h: how much a client keeps of what the broker sent on its own account: records that wait for a handler or for
 * hmq_reader_next, and checks that wait for a worker. A broker may send more than it was asked for, and small records
 * become large messages, so this counts what is allocated, before it is.
 *
 *   memory_new(max) ─► memory_take ... memory_give ─► memory_drop      any thread
 *
 * Invariant: it lives until its owner has dropped it and all that was taken is given back: a message may outlive its
 * client.
 *
 * The limit is what a role may ask for. What it did ask for may be up to four times as much: the size of messages is not
 * known before they come, and to drop one that is leased costs the time of its lease. So may a single piece where nothing
 * is taken, or a large message would never come.
 */
#ifndef HALFMQ_CLIENTS_C_MEMORY_H
#define HALFMQ_CLIENTS_C_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct memory;

/* NULL: there is no memory. */
struct memory *memory_new(size_t max);
void memory_drop(struct memory *m);

/* False: it would be over the limit. asked: the role asked for it. m NULL: there is no limit. */
bool memory_take(struct memory *m, size_t bytes, bool asked);
void memory_give(struct memory *m, size_t bytes);

/* Says that so many bytes are asked for and still to come, in place of *own, so that no other role asks for them. */
void memory_promise(struct memory *m, size_t *own, size_t bytes);

size_t memory_used(const struct memory *m);
size_t memory_max(const struct memory *m); /* SIZE_MAX: there is no limit */
size_t memory_left(const struct memory *m); /* neither taken nor promised */

#endif
