/*
 * net.h: sockets, and what carries the bytes on them. Nothing here blocks.
 *
 *   net_connect ─► (writable) net_connect_result ─► net_begin ─► net_shake until it is done ─► net_read, net_write
 *                                                                                          └─► net_close
 *
 * A *transport* is a table of functions: today there are plain bytes, on TCP and Unix sockets. One that encrypts keeps
 * what it needs in net.state, and says after each step what the socket must be ready for: its read may have to write.
 * To add one: a table, and a line in net_transport_of.
 */
#ifndef HALFMQ_CLIENTS_C_NET_H
#define HALFMQ_CLIENTS_C_NET_H

#include <sys/types.h>
#include <sys/uio.h>

#include "clients/c/wire/endpoint.h"
#include "clients/c/wire/options.h"

struct net_link;

enum net_shake { NET_DONE, NET_WANTS_READ, NET_WANTS_WRITE, NET_FAILED };

struct transport {
    const char *name;
    /* For a socket that has just been connected. False with the reason in err. NULL: it needs nothing. */
    bool (*begin)(struct net_link *n, const struct endpoint *e, const struct hmq_options *o, hmq_error *err);
    /* What both sides agree on before the first byte of ours; called again when the socket is ready. NULL: nothing. */
    enum net_shake (*shake)(struct net_link *n, hmq_error *err);
    /* As net_read and net_write. */
    ssize_t (*read)(struct net_link *n, void *to, size_t size);
    ssize_t (*write)(struct net_link *n, const struct iovec *iov, size_t pieces);
    /* Frees state; the socket is closed afterwards. NULL: there is none. */
    void (*end)(struct net_link *n);
};

/* A connection. */
struct net_link {
    const struct transport *transport;
    int fd; /* -1: none */
    void *state; /* the transport's */
    bool wants_write; /* the transport must write before it can go on reading: read again when the socket is writable */
    bool has_more; /* the transport has bytes that were received and not read: do not wait for the socket */
};

#define NET_NONE ((struct net_link){.fd = -1})

extern const struct transport transport_plain;

/* The transport that the options ask for. */
const struct transport *net_transport_of(const struct hmq_options *o);

/* Starts to connect; the socket becomes writable when that has succeeded or failed. -1 with errno. */
int net_connect(const struct address *address);

/* The result, once the socket is writable: 0, or an errno. */
int net_connect_result(int fd);

/* Takes the socket, also where this fails (false, with the reason). */
bool net_begin(struct net_link *n, int fd, const struct endpoint *e, const struct hmq_options *o, hmq_error *err);
enum net_shake net_shake(struct net_link *n, hmq_error *err);

/* Bytes moved; 0: end of the stream (read only); -1 with errno, EAGAIN where it would block. */
ssize_t net_read(struct net_link *n, void *to, size_t size);
ssize_t net_write(struct net_link *n, const struct iovec *iov, size_t pieces);

void net_close(struct net_link *n);

#endif
