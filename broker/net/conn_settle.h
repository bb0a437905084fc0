/*
 * conn_settle.h: a connection as its loop sees it: opened, settled once a turn where something happened, freed.
 */
#ifndef HALFMQ_BROKER_CONN_SETTLE_H
#define HALFMQ_BROKER_CONN_SETTLE_H

#include "broker/net/conn.h"

/* Takes over the socket. ST_NOMEM, ST_IO: it is still the caller's. */
enum status conn_open(struct loop *l, const struct letter_socket *socket) MUST_CHECK;

/* Does what conn_touch asked for. */
void conn_settle(struct conn *c);

/* The same for all that were touched. Those that are touched meanwhile wait for the next call. */
void conns_settle(struct loop *l);

/* Frees the loop's DOOMED connections, some at a time; at the end of a turn only. */
void conn_reap(struct loop *l);

#endif
