/*
 * conn_in.h: bytes in: one read a turn and connection, and as much parsed of it as may be.
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

/* LINGERING: reads and throws away, a bounded amount; dooms the connection where its client has closed, too. */
void conn_in_discard(struct conn *c);

#endif
