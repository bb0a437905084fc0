/* webhook_dns.c: one libevent resolver that is made when it is first needed, and again after a look-up has failed. */
#include "broker/webhook/webhook_dns.h"

#include <event2/dns.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct resolver {
    struct event_base *base;
    struct evdns_base *dns; /* NULL: made at the next look-up */
    unsigned under_way;
    bool stale; /* a look-up failed: make a new one when none is under way */
};

struct lookup {
    struct resolver *resolver;
    struct evdns_getaddrinfo_request *request; /* NULL: not begun, or at its end */
    void (*found)(void *arg, const struct evutil_addrinfo *addresses, const char *why);
    void *arg;
    bool cancelled, ended;
    bool starting; /* resolver_find has not returned */
};

struct resolver *resolver_new(struct event_base *base)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (r)
        r->base = base;
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    if (r->dns)
        evdns_base_free(r->dns, 0);
    free(r);
}

/* Without name servers there are still the names of /etc/hosts. */
static struct evdns_base *dns_of(struct resolver *r)
{
    if (r->dns && r->stale && r->under_way == 0) {
        evdns_base_free(r->dns, 0);
        r->dns = NULL;
    }
    if (!r->dns) {
        int flags = EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE;
        r->dns = evdns_base_new(r->base, flags);
        if (!r->dns && (r->dns = evdns_base_new(r->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE)))
            (void)evdns_base_load_hosts(r->dns, "/etc/hosts");
        r->stale = false;
    }
    return r->dns;
}

static void on_found(int result, struct evutil_addrinfo *addresses, void *arg)
{
    struct lookup *l = arg;
    struct resolver *r = l->resolver;
    r->under_way--;
    r->stale = r->stale || (result != 0 && !l->cancelled);
    l->request = NULL;
    l->ended = true;
    if (!l->cancelled)
        l->found(l->arg, result ? NULL : addresses, result ? evutil_gai_strerror(result) : NULL);
    if (addresses)
        evutil_freeaddrinfo(addresses);
    if (!l->starting)
        free(l);
}

struct lookup *resolver_find(struct resolver *r, const char *host, unsigned port,
                             void (*found)(void *arg, const struct evutil_addrinfo *addresses,
                                           const char *why),
                             void *arg)
{
    char service[8];
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct evdns_base *dns = dns_of(r);
    struct lookup *l = dns ? calloc(1, sizeof *l) : NULL;
    if (!l) {
        found(arg, NULL, "no memory");
        return NULL;
    }
    *l = (struct lookup){.resolver = r, .found = found, .arg = arg, .starting = true};
    snprintf(service, sizeof service, "%u", port);
    r->under_way++;
    l->request = evdns_getaddrinfo(dns, host, service, &hints, on_found, l);
    l->starting = false;
    if (!l->ended)
        return l;
    free(l);
    return NULL;
}

void lookup_cancel(struct lookup *l)
{
    l->cancelled = true;
    if (l->request)
        evdns_getaddrinfo_cancel(l->request); /* on_found comes later, and frees */
}
