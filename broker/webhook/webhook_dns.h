/*
 * webhook_dns.h: from a host's name to its addresses, without blocking. The only pair of files that
 * knows libevent's resolver.
 *
 *   resolver_find ──► evdns: /etc/hosts, then the name servers of /etc/resolv.conf ──► found(arg, ...)
 *
 * Both files are read again after a look-up has failed, so that a broker which was started before the
 * network was configured gets over it. Threads: the event base's own.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_DNS_H
#define HALFMQ_BROKER_WEBHOOK_DNS_H

#include <event2/util.h>

struct event_base;
struct resolver;
struct lookup;

struct resolver *resolver_new(struct event_base *base); /* NULL: no memory */
void resolver_free(struct resolver *r); /* no look-up may be under way; NULL is fine */

/* Calls found once, from the event loop or before this returns. addresses: NULL on failure, when why
 * says so; not found's to keep. NULL: no memory, or found was called already. */
struct lookup *resolver_find(struct resolver *r, const char *host, unsigned port,
                             void (*found)(void *arg, const struct evutil_addrinfo *addresses,
                                           const char *why),
                             void *arg);

/* found will not be called any more. */
void lookup_cancel(struct lookup *l);

#endif
