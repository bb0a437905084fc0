/*
 * net.h: sockets, and what carries the bytes on them. Nothing here blocks.
 *
 *   net_connect ─► (writable) net_connect_result ─► net_begin ─► net_shake until it is done ─► net_read, net_write
 *                                                                                          └─► net_close
 *
 * Which transport (transport.h) carries them is decided by the options: net_transport_of.
 */
#ifndef HALFMQ_CLIENTS_C_NET_H
#define HALFMQ_CLIENTS_C_NET_H

#include "clients/c/wire/transport.h"

extern const struct transport transport_plain;

/* The transport that the options ask for. */
const struct transport *net_transport_of(const struct hmq_options *o);

/* Can what the options name be used? False, with the reason. */
bool net_check(const struct hmq_options *o, hmq_error *err);

/* Starts to connect; the socket becomes writable when that has succeeded or failed. -1 with errno. */
int net_connect(const struct address *address);

/* The result, once the socket is writable: 0, or an errno. */
int net_connect_result(int fd);

/* Takes the socket, also where this fails (false, with the reason). */
bool net_begin(struct net_link *n, int fd, const struct endpoint *e, const struct hmq_options *o, hmq_error *err);
enum net_shake net_shake(struct net_link *n, hmq_error *err);

/* Bytes moved; 0: end of the stream (read only); -1 with errno, EAGAIN where it would block. */
ssize_t net_read(struct net_link *n, void *to, size_t size);
ssize_t net_read_pieces(struct net_link *n, const struct iovec *iov, size_t pieces); /* or only the first of them */
ssize_t net_write(struct net_link *n, const struct iovec *iov, size_t pieces);

void net_close(struct net_link *n);

#endif
