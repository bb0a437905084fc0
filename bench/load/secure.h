/*
 * secure.h: what happens on a socket before the first request: the TLS handshake and the login. Both wait, some seconds at
 * most, so that the loads need no states for them; connections are made before a run is measured.
 *
 * The bytes go through the transport of libhalfmq (clients/c/wire/net.h): plain ones, too, until the login is done.
 */
#ifndef HALFMQ_BENCH_SECURE_H
#define HALFMQ_BENCH_SECURE_H

#include "bench/options/options.h"
#include "clients/c/wire/net.h"

/* fd is connected; it does not block from here on, is the link's, and is closed where this fails (err says why). */
bool secure_open(struct net_link *link, int fd, const struct options *o, hmq_error *err);

/* Sends all of it; reads some. False, or 0: err says why. */
bool secure_send(struct net_link *link, const void *data, size_t size, hmq_error *err);
size_t secure_receive(struct net_link *link, void *to, size_t size, hmq_error *err);

/* Logs in where there is something to log in with. rpc: by MessagePack-RPC, else by RESP. */
bool secure_login(struct net_link *link, const struct options *o, bool rpc, hmq_error *err);

#endif
