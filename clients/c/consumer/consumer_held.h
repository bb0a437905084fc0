/*
 * consumer_held.h: the messages that a consumer holds, in the deliveries that they came in.
 * All functions are called under the consumer's lock, unless they say otherwise.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_HELD_H
#define HALFMQ_CLIENTS_C_CONSUMER_HELD_H

#include "clients/c/consumer/consumer_inner.h"

/* The batch as a delivery, none of it held yet: all of it WAITING, behind its `whole`, which is offered, and leased since
 * now. NULL: no memory; the batch is still the caller's. Without the lock, which others need meanwhile. */
struct delivery *delivery_new(struct hmq_consumer *c, struct hmq_batch *batch, bool ranges);

/* The same for a record, which is not unpacked. from: without its memory. HMQ_EPROTO: its
 * head is damaged, or none of its messages is wanted. HMQ_ENOMEM. */
enum hmq_status delivery_come(struct hmq_consumer *c, struct slice record, const struct origin *from, bool asked,
                              struct delivery **ret_delivery);

/* Unpacks it. Without the lock, or with it; by the one who has `whole` in its hand. What came of it is in its arrival. */
void delivery_unpack(struct delivery *d);

/* It was unpacked: from now on others may see its items. False: that failed, and its messages are held no more; the delivery
 * may be freed. */
bool delivery_open(struct delivery *d);

/* Counts one user (a message that is held, or a request about messages) out; frees the delivery after the last one. */
void delivery_release(struct delivery *d);

/* Holds the messages of a new delivery from now on. */
void held_begin(struct delivery *d);

/* The message is held no longer; its delivery may be freed. */
void held_release(struct held *h);

/* The same for n messages of one delivery, which follow each other in it. */
void held_release_run(struct held *h, size_t n);

/* NULL: the message is none of a consumer's. Without the lock. */
struct held *held_of(const struct hmq_message *m);

/* The window does not count n messages any more, which have left_window since now. */
void held_left_window(struct hmq_consumer *c, size_t n);

/* Its handler has returned, and the application keeps the message, which leaves the window. */
void held_keep(struct held *h);

/* The message behind it, or before it, in its delivery, where one range of offsets can name both; NULL: there is none.
 * It may be GONE. */
struct held *held_next(struct held *h);
struct held *held_before(struct held *h);

/* Puts the receipt of n messages from h on, each the held_next of the one before it. */
void held_put_receipt(struct buf *b, const struct held *h, size_t n);

/* Sets when the lease of the message is to be extended. */
void held_extend_at(struct held *h, int64_t at_ms);

#endif
