/*
 * outgoing.h: a message on its way through the application's interceptors, before it is encoded, and its result on the
 * way back.
 *
 *   outgoing_begin ─► send() of each ─► the parcel has their properties ─► encoded ─► ... ─► outgoing_end ─► sent() of each
 *
 * Where the result comes later, outgoing_later keeps what is needed until then, and its functions are called instead of
 * the application's callback. Without interceptors none of this is used.
 */
#ifndef HALFMQ_CLIENTS_C_OUTGOING_H
#define HALFMQ_CLIENTS_C_OUTGOING_H

#include "clients/c/client/intercept.h"
#include "clients/c/roles/parcel.h"

#define OUTGOING_PROPS_MAX 16 /* that interceptors may set */

struct hmq_outgoing {
    struct hmq_client *client;
    struct parcel *parcel;
    hmq_send_options options; /* the parcel's, with `all` as properties */
    hmq_prop set[OUTGOING_PROPS_MAX]; /* owned texts */
    size_t n_set;
    hmq_prop *all; /* owned array, borrowed texts */
    struct intercept_spans spans;
};

/* Calls send() of each, and lets the parcel have what they set. On failure there is nothing to end. */
enum hmq_status outgoing_begin(struct hmq_outgoing *o, struct hmq_client *c, struct parcel *p, hmq_error *err);

/* Frees it; the parcel's options are gone. */
void outgoing_fini(struct hmq_outgoing *o);

/* Calls sent() of each, the last one first. id: NULL where there is none. */
void outgoing_end(struct hmq_client *c, const struct intercept_spans *spans, const char *id, const hmq_error *err);

/* What is needed when the result comes. */
struct outgoing_later {
    struct hmq_client *client;
    struct intercept_spans spans;
    hmq_sent_fn sent; /* the application's */
    hmq_half_fn half;
    void *arg;
};

/* NULL: no memory. */
struct outgoing_later *outgoing_later(const struct hmq_outgoing *o, hmq_sent_fn sent, hmq_half_fn half, void *arg);

/* Callbacks, with an outgoing_later as arg, which they free. */
void outgoing_sent(void *arg, const char *id, const hmq_error *err);
void outgoing_half(void *arg, hmq_txid txid, const hmq_error *err);

/* The message could not be handed over: frees it without calling the application's callback. */
void outgoing_failed(struct outgoing_later *later, const hmq_error *err);

#endif
