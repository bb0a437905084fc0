/*
 * parcel.h: one message or half message to send, and its way into a frame.
 */
#ifndef HALFMQ_CLIENTS_C_PARCEL_H
#define HALFMQ_CLIENTS_C_PARCEL_H

#include "clients/c/roles/sender.h"

struct parcel {
    const char *method; /* "send", "half" */
    const char *pgroup; /* half only */
    hmq_txid txid; /* half only; 0: a new transaction */
    const char *topic;
    const void *body;
    size_t len;
    const hmq_send_options *options; /* the caller's, maybe of an older size; may be NULL */
};

/* Writes the frame of a `send` or `half`. HMQ_EINVAL, HMQ_ETOOBIG, HMQ_ENOMEM. */
enum hmq_status parcel_encode(struct sender *s, const struct parcel *p, struct call *call,
                              hmq_error *err);

/* Copies the caller's options, of whatever size they were in its version of the header, and checks them and the
 * parcel: HMQ_EINVAL, HMQ_ETOOBIG. */
enum hmq_status parcel_options(const struct parcel *p, hmq_send_options *ret_options,
                               hmq_error *err);

#endif
