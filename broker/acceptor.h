/*
 * acceptor.h: takes connections from the listening sockets and hands them to the loops, in turn.
 * Everything here belongs to the main thread.
 */
#ifndef HALFMQ_BROKER_ACCEPTOR_H
#define HALFMQ_BROKER_ACCEPTOR_H

#include <event2/event.h>

#include "broker/base/socket.h"

struct server;
struct acceptor;

/* Starts accepting on all of sockets and takes ownership of them. NULL: no memory; sockets stay the
 * caller's. */
struct acceptor *acceptor_new(struct server *s, struct event_base *base, struct sockets *sockets);

/* Stops accepting and closes the sockets. NULL is fine. */
void acceptor_free(struct acceptor *a);

#endif
