/*
 * transport.h: what carries the bytes on a socket: a table of functions. There are plain bytes, on TCP and Unix sockets
 * (net.c), and TLS (net_tls.h).
 *
 * One that encrypts keeps what it needs in net_link.state, and says after each step what the socket must be ready for: its
 * read may have to write. To add one: a table, and a line in net_transport_of (net.h).
 */
#ifndef HALFMQ_CLIENTS_C_TRANSPORT_H
#define HALFMQ_CLIENTS_C_TRANSPORT_H

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
    /* As net_read_pieces. NULL: it reads the first piece. */
    ssize_t (*read_pieces)(struct net_link *n, const struct iovec *iov, size_t pieces);
};

/* A connection. */
struct net_link {
    const struct transport *transport;
    int fd; /* -1: none */
    void *state; /* the transport's */
    bool wants_write; /* the transport must write before it can go on reading: read again when the socket is writable */
    const char *why; /* the transport's words for what failed last, a constant; NULL: errno says it */
    bool has_more; /* the transport has bytes that were received and not read: do not wait for the socket */
};

#define NET_NONE ((struct net_link){.fd = -1})

#endif
