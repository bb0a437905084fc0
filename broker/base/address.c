/* address.c: addresses out of sockets, and as text (address.h). */
#include "broker/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct net_address address_of_ip6(const struct in6_addr *ip)
{
    struct net_address a = {.kind = ADDRESS_IP6};
    memcpy(a.bytes, ip, sizeof a.bytes);
    if (!IN6_IS_ADDR_V4MAPPED(ip))
        return a;
    struct net_address mapped = {.kind = ADDRESS_IP4};
    memcpy(mapped.bytes, a.bytes + 12, 4);
    return mapped;
}

struct net_address address_of(const struct sockaddr *from)
{
    struct net_address a = {.kind = ADDRESS_UNKNOWN};
    if (from->sa_family == AF_UNIX) {
        a.kind = ADDRESS_UNIX;
    } else if (from->sa_family == AF_INET) {
        a.kind = ADDRESS_IP4;
        memcpy(a.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        a = address_of_ip6(&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr);
    }
    return a;
}

struct net_address address_of_text(const char *text)
{
    struct net_address a = {.kind = ADDRESS_IP4};
    struct in6_addr ip6;
    char plain[INET6_ADDRSTRLEN];
    size_t n = strcspn(text, "%");
    if (n < sizeof plain) {
        memcpy(plain, text, n);
        plain[n] = '\0';
        if (inet_pton(AF_INET, plain, a.bytes) == 1)
            return a;
        if (inet_pton(AF_INET6, plain, &ip6) == 1)
            return address_of_ip6(&ip6);
    }
    return (struct net_address){.kind = ADDRESS_UNKNOWN};
}

bool address_is_local(const struct net_address *a)
{
    if (a->kind == ADDRESS_IP4)
        return a->bytes[0] == 127;
    if (a->kind == ADDRESS_IP6)
        return memcmp(a->bytes, &in6addr_loopback, sizeof a->bytes) == 0;
    return a->kind == ADDRESS_UNIX;
}

bool address_equal(const struct net_address *a, const struct net_address *b)
{
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct net_address address_network(const struct net_address *a)
{
    struct net_address n = *a;
    if (a->kind == ADDRESS_IP6)
        memset(n.bytes + 8, 0, 8);
    return n;
}

const char *address_text(const struct net_address *a, char out[ADDRESS_TEXT_MAX])
{
    const char *text = NULL;
    if (a->kind == ADDRESS_IP4)
        text = inet_ntop(AF_INET, a->bytes, out, ADDRESS_TEXT_MAX);
    else if (a->kind == ADDRESS_IP6)
        text = inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT_MAX);
    if (!text)
        snprintf(out, ADDRESS_TEXT_MAX, "%s", a->kind == ADDRESS_UNIX ? "unix" : "?");
    return out;
}
