/*
 * conn_out.h: output of a connection: sending, and pushes to those who do not read.
 */
#ifndef HALFMQ_BROKER_CONN_OUT_H
#define HALFMQ_BROKER_CONN_OUT_H

#include "broker/net/conn.h"

/* Sends as much of the output as the socket takes. Dooms the connection where it is broken. */
void conn_send(struct conn *c);

/* A push was appended to the output. Cuts a subscriber that has more than output_limit unsent; and, while connections
 * hold too much memory, one that does not take the push at once and holds at least as much as they do on average. */
void conn_pushed(struct conn *c);

#endif
