/*
 * net.h: addresses and sockets. Non-blocking throughout, except for looking up a host name.
 */
#ifndef HALFMQ_CLIENTS_C_NET_H
#define HALFMQ_CLIENTS_C_NET_H

#include <netdb.h>
#include <sys/uio.h>

#include "clients/c/wire/errors.h"

struct endpoint {
    char *host; /* owned */
    char port[6];
};

struct endpoints {
    struct endpoint *list;
    size_t n; /* >= 1 */
};

/* "host:port,[::1]:port,host". HMQ_EINVAL with what is wrong, HMQ_ENOMEM. */
enum hmq_status endpoints_parse(const char *text, struct endpoints *ret_endpoints, hmq_error *err);
void endpoints_free(struct endpoints *e);

/* The addresses of an endpoint; NULL with a reason in err. Free with freeaddrinfo. */
struct addrinfo *net_lookup(const struct endpoint *e, hmq_error *err);

/* Starts to connect; the socket becomes writable when that has succeeded or failed. -1 with errno. */
int net_connect(const struct addrinfo *address);

/* The result, once the socket is writable: 0, or an errno. */
int net_connect_result(int fd);

/* Bytes moved; 0: end of the stream (read only); -1 with errno, EAGAIN where it would block. */
ssize_t net_read(int fd, void *to, size_t n);
ssize_t net_write(int fd, const struct iovec *iov, size_t n);

/* The address as text for a person: "127.0.0.1:4253". */
void net_describe(const struct addrinfo *address, char *out, size_t size);

#endif
