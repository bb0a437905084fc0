/*
 * webhook_dns.h: finds the addresses of a host name without blocking. No other pair of files knows libevent's resolver.
 *
 *   resolver_find ──► evdns: /etc/hosts, then the name servers of /etc/resolv.conf ──► found(arg, ...)
 *
 * Both files are read again after a look-up has failed, so a broker that was started before the network was configured
 * finds names later. Threads: the event base's own.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_DNS_H
#define HALFMQ_BROKER_WEBHOOK_DNS_H

#include <event2/util.h>

struct event_base;
struct resolver;
struct lookup;

struct resolver *resolver_new(struct event_base *base); /* NULL: no memory */
void resolver_free(struct resolver *r); /* no look-up may be under way; NULL is fine */

/* Looks a name up and calls found once, from the event loop or before this returns. addresses is good during that call;
 * NULL: the look-up failed, why says how. Returns NULL where found was called already (also with "no memory"). */
struct lookup *resolver_find(struct resolver *r, const char *host, unsigned port,
                             void (*found)(void *arg, const struct evutil_addrinfo *addresses,
                                           const char *why),
                             void *arg);

/* Ends a look-up: found will not be called any more. */
void lookup_cancel(struct lookup *l);

#endif
