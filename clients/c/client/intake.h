/*
 * intake.h: the bytes that have come and are not dispatched yet. Driver thread only.
 *
 *   buffer  │ frame │ frame │ the begin of a fr|           small frames, many with one read
 *   block   │ the begin of a frame ... its end |           a large one, as soon as its length is known: read to its end,
 *                                                          and the head of the next one into the buffer
 *
 * The bytes of a large frame need not be copied: whoever it is for may have the block (client_take_block). While large
 * frames come, only FIRST_BYTES of the next one are read, as those are copied from the buffer to its block.
 *
 * What is being read may take three sixteenths of max_memory, and what else of it is not used. The block is one of
 * memory_block, so that it counts for all that ask for memory.
 */
#ifndef HALFMQ_CLIENTS_C_INTAKE_H
#define HALFMQ_CLIENTS_C_INTAKE_H

#include <sys/uio.h>

#include "clients/c/client/client.h"

void intake_init(struct hmq_client *c);
void intake_fini(struct hmq_client *c);

/* Another connection begins. False: no memory. */
bool intake_begin(struct hmq_client *c);

/* Drops what has come. */
void intake_drop(struct hmq_client *c);

/* Whether the rest of the frame that has begun may be read. What it says of its length is enough to refuse it. */
bool intake_may_grow(struct hmq_client *c);

/* Where to read to next: in one or two pieces. 0: no memory, or the frame is too large. */
size_t intake_room(struct hmq_client *c, struct iovec iov[2]);

/* n bytes were read there. */
void intake_added(struct hmq_client *c, const struct iovec iov[2], size_t n);

/* The bytes from the next frame on; and: the frame of n bytes that they began with was dispatched. */
struct slice intake_bytes(const struct hmq_client *c);
void intake_used(struct hmq_client *c, size_t n);

/* It is about to be dispatched: where it is in the block, that does not count any more, as it is copied, or taken. */
void intake_dispatches(struct hmq_client *c);

/* No whole frame is left. ST_MORE; ST_OK: look again, as the frame in the block is longer than it seemed, and goes on in the
 * buffer, where it is now (it has many values, and is not one large one); ST_NOMEM. */
enum status intake_settle(struct hmq_client *c);

#endif
