/*
 * conn_in.h: input of a connection: one read each time its socket is readable, parsed as far as it may be.
 */
#ifndef HALFMQ_BROKER_CONN_IN_H
#define HALFMQ_BROKER_CONN_IN_H

#include "broker/net/conn.h"

/* The socket is readable: reads once and parses. */
void conn_in_read(struct conn *c);

/* Parses what was kept, as far as it may. */
void conn_in_parse_kept(struct conn *c);

/* Input that is kept and not parsed, bytes. */
static inline size_t conn_in_kept(const struct conn *c)
{
    return c->in.len - c->in_at;
}

/* While a request is parsed: gives the block that the request's bytes lie in to the caller, who frees it some time after the
 * parser has returned. Empty: they are not in a block of their own, or others are, so that they are to be copied. */
struct slice conn_in_take(struct conn *c, struct slice bytes);
void conn_in_take_back(struct conn *c); /* it is not the caller's after all */

/* For LINGERING: reads a bounded amount and throws it away. Dooms the connection if the client has closed it. */
void conn_in_discard(struct conn *c);

#endif
