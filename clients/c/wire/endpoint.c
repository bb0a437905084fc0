/* endpoint.c: parses lists of servers, and finds their addresses; see endpoint.h. */
#include "clients/c/wire/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "protocol/base/text.h"
#include "protocol/limits.h"

#define ENDPOINTS_MAX 64
#define HOST_BYTES_MAX 255
#define UNIX "unix:"
#define PATH_BYTES_MAX (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* Splits host, [host], host:port or [host]:port; *ret_port is empty where there is none. */
static bool endpoint_split(struct slice text, struct slice *ret_host, struct slice *ret_port)
{
    const uint8_t *end = text.data + text.len;
    const uint8_t *colon = memchr(text.data, ':', text.len);
    *ret_port = slice_of(NULL, 0);
    if (text.len > 0 && text.data[0] == '[') {
        const uint8_t *close = memchr(text.data, ']', text.len);
        if (!close || (close + 1 < end && close[1] != ':'))
            return false;
        *ret_host = slice_of(text.data + 1, (size_t)(close - text.data - 1));
        colon = close + 1 < end ? close + 1 : NULL;
    } else {
        *ret_host = slice_of(text.data, colon ? (size_t)(colon - text.data) : text.len);
    }
    if (colon)
        *ret_port = slice_of(colon + 1, (size_t)(end - colon - 1));
    return ret_host->len > 0 && ret_host->len <= HOST_BYTES_MAX && (!colon || ret_port->len > 0);
}

static enum hmq_status endpoint_keep(struct endpoint *e, struct slice host, hmq_error *err)
{
    e->host = strndup((const char *)host.data, host.len);
    return e->host ? HMQ_OK : error_plain(err, HMQ_ENOMEM);
}

static enum hmq_status endpoint_parse_unix(struct slice text, struct endpoint *ret_e, hmq_error *err)
{
    struct slice path = slice_of(text.data + strlen(UNIX), text.len - strlen(UNIX));
    if (path.len == 0 || path.data[0] != '/' || path.len > PATH_BYTES_MAX)
        return error_set(err, HMQ_EINVAL, "option servers: after unix: comes a path of at most %zu bytes from /",
                         PATH_BYTES_MAX);
    ret_e->port[0] = '\0';
    return endpoint_keep(ret_e, path, err);
}

/* The i-th of the list. The error does not show it: where a URI was written wrongly, it has the password. */
static enum hmq_status endpoint_parse(struct slice text, size_t i, struct endpoint *ret_e, hmq_error *err)
{
    struct slice host, port_text;
    uint64_t port = PORT_DEFAULT;
    if (text.len >= strlen(UNIX) && memcmp(text.data, UNIX, strlen(UNIX)) == 0)
        return endpoint_parse_unix(text, ret_e, err);
    bool valid = endpoint_split(text, &host, &port_text);
    if (valid && port_text.len > 0)
        valid = text_uint(port_text, &port) && port >= 1 && port <= 65535;
    if (!valid)
        return error_set(err, HMQ_EINVAL, "option servers: number %zu is not of the form host:port", i + 1);
    snprintf(ret_e->port, sizeof ret_e->port, "%u", (unsigned)port);
    return endpoint_keep(ret_e, host, err);
}

enum hmq_status endpoints_parse(const char *text, struct endpoints *ret_endpoints, hmq_error *err)
{
    struct endpoints e = {calloc(ENDPOINTS_MAX, sizeof *e.list), 0};
    enum hmq_status status = HMQ_OK;
    if (!e.list)
        return error_plain(err, HMQ_ENOMEM);
    while (status == HMQ_OK && text) {
        size_t n = strcspn(text, ",");
        if (e.n == ENDPOINTS_MAX)
            status =
                error_set(err, HMQ_EINVAL, "option servers: more than %d of them", ENDPOINTS_MAX);
        else
            status = endpoint_parse(slice_of(text, n), e.n, &e.list[e.n], err);
        e.n += status == HMQ_OK;
        text = text[n] ? text + n + 1 : NULL;
    }
    if (status != HMQ_OK) {
        endpoints_free(&e);
        return status;
    }
    *ret_endpoints = e;
    return HMQ_OK;
}

void endpoints_free(struct endpoints *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->list[i].host);
    free(e->list);
    *e = (struct endpoints){NULL, 0};
}

void endpoints_shuffle(struct endpoints *e, uint64_t chance)
{
    for (size_t i = e->n; i > 1; i--) {
        size_t k = (size_t)((chance >> 33) % i);
        struct endpoint other = e->list[k];
        e->list[k] = e->list[i - 1];
        e->list[i - 1] = other;
        chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    }
}

static int endpoint_lookup(const struct endpoint *e, int flags, struct addrinfo **ret_found)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    return getaddrinfo(e->host, e->port, &hints, ret_found);
}

bool endpoint_is_known(const struct endpoint *e)
{
    struct addrinfo *found = NULL;
    if (!e->port[0])
        return true;
    if (endpoint_lookup(e, AI_NUMERICHOST | AI_NUMERICSERV, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

static void endpoint_address_unix(const struct endpoint *e, struct address *ret_address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, e->host, strlen(e->host)); /* endpoint_parse has looked at its length */
    *ret_address = (struct address){.len = sizeof un};
    memcpy(&ret_address->at, &un, sizeof un);
}

/* The next one of this family, or of any other; NULL: there is none. */
static const struct addrinfo *endpoint_next_found(const struct addrinfo *from, int family, bool of_it)
{
    while (from && (from->ai_family == family) != of_it)
        from = from->ai_next;
    return from;
}

/* One of the first one's family, one of another, and so on. */
static void endpoint_take_found(const struct addrinfo *found, struct addresses *to)
{
    int family = found->ai_family;
    const struct addrinfo *next[2] = {found, endpoint_next_found(found, family, false)};
    to->n = 0;
    for (int turn = 0; to->n < ADDRESSES_MAX && (next[0] || next[1]); turn = !turn) {
        const struct addrinfo *a = next[turn];
        if (!a)
            continue;
        next[turn] = endpoint_next_found(a->ai_next, family, turn == 0);
        if (a->ai_addrlen > sizeof to->list[to->n].at)
            continue;
        memcpy(&to->list[to->n].at, a->ai_addr, a->ai_addrlen);
        to->list[to->n++].len = a->ai_addrlen;
    }
}

enum hmq_status endpoint_resolve(const struct endpoint *e, struct addresses *to, hmq_error *err)
{
    struct addrinfo *found = NULL;
    if (!e->port[0]) {
        to->n = 1;
        endpoint_address_unix(e, &to->list[0]);
        return error_none(err);
    }
    int failed = endpoint_lookup(e, 0, &found);
    if (failed != 0)
        return error_set(err, HMQ_EDISCONNECTED, "%s: %s", e->host,
                         failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
    endpoint_take_found(found, to);
    freeaddrinfo(found);
    return to->n > 0 ? error_none(err) : error_set(err, HMQ_EDISCONNECTED, "%s: it has no address", e->host);
}

void address_describe(const struct address *a, char *out, size_t size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (a->at.ss_family == AF_UNIX)
        snprintf(out, size, UNIX "%s", ((const struct sockaddr_un *)(const void *)&a->at)->sun_path);
    else if (getnameinfo((const struct sockaddr *)(const void *)&a->at, a->len, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, size, "?");
    else
        snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
