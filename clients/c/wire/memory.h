/*
 * memory.h: how much a client keeps of what the broker sent on its own account: records that wait for a handler or for
 * hmq_reader_next, and checks that wait for a worker. A broker may send more than it was asked for, and small records
 * become large messages, so this counts what is allocated, before it is.
 *
 *   memory_new(max) ─► memory_take ... memory_give ─► memory_drop            any thread
 *                  └─► memory_block ... memory_block_give                   the same, and the block itself
 *
 * Invariant: it lives until its owner has dropped it and all that was taken is given back: a message may outlive its
 * client.
 *
 * The limit is what a role may ask for. What it did ask for may be up to four times as much: the size of messages is not
 * known before they come, and to drop one that is leased costs the time of its lease. So may a single piece where nothing
 * is taken, or a large message would never come.
 *
 * Blocks that were given back are kept for the next one who needs one (blocks.h). They count for memory_total, not for
 * the limit: where they and what is taken come to more than four times the limit, they are freed.
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

/* A block of at least *size bytes, taken; *size becomes what it has. NULL: it would be over the limit, or there is no
 * memory. m NULL: malloc. */
void *memory_block(struct memory *m, size_t *size, bool asked);

/* Gives back a block, of the size that memory_block said, with what was taken for it. */
void memory_block_give(struct memory *m, void *block, size_t size);

/* The same for a block that does not count any more: memory_give was called for it. */
void memory_block_keep(struct memory *m, void *block, size_t size);

/* Says that so many bytes are asked for and still to come, in place of *own, so that no other role asks for them. */
void memory_promise(struct memory *m, size_t *own, size_t bytes);

size_t memory_used(const struct memory *m);
size_t memory_total(const struct memory *m); /* with the blocks that are kept */
size_t memory_max(const struct memory *m); /* SIZE_MAX: there is no limit */
size_t memory_left(const struct memory *m); /* neither taken nor promised */

#endif
