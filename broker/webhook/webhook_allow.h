/*
 * webhook_allow.h: the setting webhook_allow: which hosts the broker may be made to call.
 *
 *   *                 any host                 hooks.example.org   that name
 *   *.example.org     names under that one     10.1.2.3  fd00::1   that address
 *                                              10.0.0.0/8          addresses of that network
 *
 * Whoever may write PGROUP SET can make the broker send requests into the network it stands in. So the list is asked
 * twice: for the host that a URL names, when the URL is set, and for the address, before each connection, since a name
 * may lead to any address. Link-local addresses (169.254.0.0/16, fe80::/10) and the others of the metadata services of
 * clouds (fd00:ec2::/32, fd20:ce::254, fd00:c1::a9fe:a9fe) are allowed only where the list names them as addresses, and
 * so are IPv6 addresses that embed such an IPv4 address (64:ff9b::/96, ::a.b.c.d, 2002::/16 ...).
 *
 * Pure; any thread may ask.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_ALLOW_H
#define HALFMQ_BROKER_WEBHOOK_ALLOW_H

#include <sys/socket.h>

#include "broker/webhook/webhook_url.h"

struct webhook_allow;

/* NULL: err says which word is wrong (or that there is no memory). */
struct webhook_allow *webhook_allow_new(const char *list, char *err, size_t err_size);
void webhook_allow_free(struct webhook_allow *a); /* NULL is fine */

/* May the URL name its host? */
bool webhook_allow_url(const struct webhook_allow *a, const struct webhook_url *url);

/* May the broker connect to this address, to call that URL? */
bool webhook_allow_address(const struct webhook_allow *a, const struct webhook_url *url,
                           const struct sockaddr *address);

#endif
