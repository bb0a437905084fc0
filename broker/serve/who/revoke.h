/*
 * revoke.h: what follows from a change of users, or from the end of a connection's time: waits end empty, streams and
 * subscriptions are closed that are no longer allowed, and so are the connections of users that are gone, or off.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_REVOKE_H
#define HALFMQ_BROKER_REVOKE_H

#include "broker/net/conn.h"

/* Looks at all connections, once after each change of users. To be called before anything is woken. */
void revoke_all(struct loop *l);

/* The time of the connection's user is over: all that it has begun ends, and the client is told. */
void revoke_ended(struct conn *c);

#endif
