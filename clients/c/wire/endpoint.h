/*
 * endpoint.h: servers as the option `servers` names them, and the addresses that they have.
 *
 *   "db1:4253,[::1],unix:/run/halfmq.sock" ─► endpoints ─► (a look-up of each name) ─► addresses
 *
 * An address of a name is found by the system's resolver, which may take seconds; all others are known at once.
 */
#ifndef HALFMQ_CLIENTS_C_ENDPOINT_H
#define HALFMQ_CLIENTS_C_ENDPOINT_H

#include <sys/socket.h>

#include "clients/c/wire/errors.h"

struct endpoint {
    char *host; /* owned; the path, where port is empty: a Unix socket */
    char port[6];
};

struct endpoints {
    struct endpoint *list;
    size_t n; /* >= 1 */
};

#define ADDRESSES_MAX 16 /* of one server; more are ignored */

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

struct addresses {
    size_t n;
    struct address list[ADDRESSES_MAX];
};

/* HMQ_EINVAL with what is wrong, HMQ_ENOMEM. */
enum hmq_status endpoints_parse(const char *text, struct endpoints *ret_endpoints, hmq_error *err);
void endpoints_free(struct endpoints *e);

/* Puts them into an order by chance. */
void endpoints_shuffle(struct endpoints *e, uint64_t chance);

/* False: it is a name, which must be looked up. */
bool endpoint_is_known(const struct endpoint *e);

/*
 * The addresses of an endpoint. Blocks, unless it is known. IPv6 and IPv4 take turns, and what the resolver put first
 * stays first (RFC 8305, section 4). HMQ_EDISCONNECTED with the reason: it has none.
 */
enum hmq_status endpoint_resolve(const struct endpoint *e, struct addresses *ret_addresses, hmq_error *err);

/* The address as text for a person: "127.0.0.1:4253", "unix:/run/halfmq.sock". */
void address_describe(const struct address *a, char *out, size_t size);

#endif
