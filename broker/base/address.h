/*
 * address.h: whom a connection comes from, as short bytes that can be compared, counted and printed.
 *
 *   IPv4   4 bytes       IPv6  16 bytes (::ffff:a.b.c.d is taken as IPv4)       Unix socket, unknown: none
 *
 * Any thread; nothing here waits.
 */
#ifndef HALFMQ_BROKER_ADDRESS_H
#define HALFMQ_BROKER_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

enum address_kind { ADDRESS_UNKNOWN, ADDRESS_UNIX, ADDRESS_IP4, ADDRESS_IP6 };

#define ADDRESS_TEXT_MAX 48

struct net_address {
    uint8_t kind; /* enum address_kind */
    uint8_t bytes[16]; /* what the kind does not need is zero */
};

struct net_address address_of(const struct sockaddr *from);

/* Of an address as getnameinfo writes it, with its %scope; ADDRESS_UNKNOWN: it is none. */
struct net_address address_of_text(const char *text);

/* From this machine: 127.0.0.0/8, ::1, a Unix socket. */
bool address_is_local(const struct net_address *a);

bool address_equal(const struct net_address *a, const struct net_address *b);

/* Who is held responsible for it: the address itself; of IPv6 the /64, since a machine has all of that. */
struct net_address address_network(const struct net_address *a);

/* "127.0.0.1", "2001:db8::1", "unix", "?". Returns out. */
const char *address_text(const struct net_address *a, char out[ADDRESS_TEXT_MAX]);

#endif
