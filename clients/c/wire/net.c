/* net.c: parses lists of host:port, looks hosts up, and opens, reads and writes non-blocking sockets. */
#include "clients/c/wire/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "protocol/base/text.h"

#define ENDPOINTS_MAX 64
#define HOST_BYTES_MAX 255

/* Splits host, [host], host:port or [host]:port; *ret_port is empty where there is none. */
static bool net_split(struct slice text, struct slice *ret_host, struct slice *ret_port)
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

static enum hmq_status endpoint_parse(struct slice text, struct endpoint *ret_e, hmq_error *err)
{
    struct slice host, port_text;
    uint64_t port = PORT_DEFAULT;
    bool valid = net_split(text, &host, &port_text);
    if (valid && port_text.len > 0)
        valid = text_uint(port_text, &port) && port >= 1 && port <= 65535;
    if (!valid)
        return error_set(err, HMQ_EINVAL, "option servers: '%.*s' is not of the form host:port",
                         (int)(text.len < 60 ? text.len : 60), (const char *)text.data);
    ret_e->host = strndup((const char *)host.data, host.len);
    snprintf(ret_e->port, sizeof ret_e->port, "%u", (unsigned)port);
    return ret_e->host ? HMQ_OK : error_plain(err, HMQ_ENOMEM);
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
            status = endpoint_parse(slice_of(text, n), &e.list[e.n], err);
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

struct addrinfo *net_lookup(const struct endpoint *e, hmq_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int failed = getaddrinfo(e->host, e->port, &hints, &found);
    if (failed == 0)
        return found;
    error_set(err, HMQ_EDISCONNECTED, "%s: %s", e->host,
              failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
    return NULL;
}

int net_connect(const struct addrinfo *a)
{
    int on = 1, failed_errno;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS))
        return fd;
    failed_errno = errno;
    close(fd);
    errno = failed_errno;
    return -1;
}

int net_connect_result(int fd)
{
    int result = 0;
    socklen_t size = sizeof result;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0 ? errno : result;
}

ssize_t net_read(int fd, void *to, size_t n)
{
    ssize_t got;
    do
        got = recv(fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t net_write(int fd, const struct iovec *iov, size_t n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    ssize_t put;
    do
        put = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put;
}

void net_describe(const struct addrinfo *a, char *out, size_t size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, size, "?");
    else
        snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
