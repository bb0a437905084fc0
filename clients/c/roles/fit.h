/*
 * fit.h: whether a message can travel in a batch, and its way into the batch and back.
 *
 * A message that does not fit is sent by itself: because it has what only SEND can say (QUEUE, DELAY, AT,
 * PRIORITY, the caller's DEDUP), because it is large, or because it exceeds a limit of the contract, so that
 * no other message is refused together with it.
 */
#ifndef HALFMQ_CLIENTS_C_FIT_H
#define HALFMQ_CLIENTS_C_FIT_H

#include "clients/c/roles/parcel.h"
#include "clients/c/wire/message.h"
#include "protocol/record/message.h"

#define FIT_BODY_MAX KIB(32)

/* The message as it goes into the record; props: a buffer for its properties, which m borrows. False: it does
 * not fit, or there is no memory. */
bool fit_message(const struct parcel *p, const hmq_send_options *o, struct buf *props,
                 struct message *ret_m);

/* The same for a message without options, as most are, which takes no look at any. False: fit_message decides. */
bool fit_bare(const struct parcel *p, struct message *ret_m);

/* A message that was received, as it goes into the record of its copy: with its age, as of now_ms (Unix time). False: it
 * exceeds a limit of the contract, or there is no memory. */
bool fit_copy(const struct hmq_message *m, const hmq_send_options *o, int64_t now_ms, struct buf *props,
              struct message *ret_m);

/* Bytes that the encoded message takes at most. */
size_t fit_bytes(const struct message *m);

/* A message of an unpacked batch as the parcel of a `send`; the options name m as what the message is like. */
void fit_parcel(const struct hmq_message *m, hmq_send_options *ret_options,
                struct parcel *ret_parcel);

#endif
