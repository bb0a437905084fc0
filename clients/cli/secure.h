/*
 * secure.h: TLS under a connection of the command line: hiredis connects, makes requests and reads replies, and the bytes
 * go through the transport of libhalfmq (clients/c/wire/net_tls.h).
 *
 * While a link is open the socket does not block, and hiredis never touches it. Deadlines are in ms of the monotonic
 * clock.
 */
#ifndef HALFMQ_CLIENTS_CLI_SECURE_H
#define HALFMQ_CLIENTS_CLI_SECURE_H

#include "clients/c/wire/net.h"
#include "clients/cli/options.h"

/* Shakes hands on fd, which is the link's from here on, and is closed where this fails; err says why. */
bool secure_open(struct net_link *link, int fd, const struct cli_options *o, int64_t deadline_ms, hmq_error *err);

/* Sends all of it. 0, or an errno. */
int secure_send(struct net_link *link, const char *data, size_t size, int64_t deadline_ms);

#endif
