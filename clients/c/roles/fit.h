/*
 * fit.h: whether a message can travel in a batch, and the way from one form to the other.
 *
 * What does not fit goes as a `send` of its own: what only SEND can say (QUEUE, DELAY, AT, PRIORITY, the
 * caller's DEDUP), what is large anyway, and what is over a bound of the contract, so that it alone is
 * refused for it.
 */
#ifndef HALFMQ_CLIENTS_C_FIT_H
#define HALFMQ_CLIENTS_C_FIT_H

#include "clients/c/roles/parcel.h"
#include "clients/c/wire/message.h"
#include "protocol/record/message.h"

#define FIT_BODY_MAX KIB(32)

/* The message that the record gets; props: a buffer for its properties, which m borrows. False: it does
 * not fit (or there is no memory to try). */
bool fit_message(const struct parcel *p, const hmq_send_options *o, struct buf *props,
                 struct message *ret_m);

/* Bytes that the encoded message takes at most. */
size_t fit_bytes(const struct message *m);

/* Message m of a batch, unpacked, as the parcel of a `send`; both borrow from m. */
void fit_parcel(const struct hmq_message *m, hmq_send_options *ret_options,
                struct parcel *ret_parcel);

#endif
