/*
 * socket.c: opens a socket for each address of a host name, and listens on them.
 *
 * A name may have several addresses (localhost: ::1 and 127.0.0.1) and a client may use any of them. An address whose
 * family this machine does not have is skipped, unless it is the only one.
 */
#include "broker/base/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static void socket_put_address(const struct sockaddr *a, socklen_t len, char *out, size_t size)
{
    char host[64], port[8];
    if (getnameinfo(a, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, size, "?");
        return;
    }
    snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void socket_set_port(struct sockaddr *a, int port)
{
    if (a->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)a)->sin_port = htons((uint16_t)port);
}

/* The port that a socket is bound to, or -1 with errno. */
static int socket_port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return -1;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                                         : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

/* A socket that has that address, or -1 with errno. */
static int socket_bind_to(const struct addrinfo *ai)
{
    int on = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* Without V6ONLY, [::] would take the port of 0.0.0.0 as well. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (ai->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static const char *socket_advice(int failure)
{
    if (failure == EADDRINUSE)
        return "stop the other program or choose another";
    if (failure == EACCES)
        return "ports below 1024 need a privilege: choose another";
    return "choose another --bind or another";
}

static enum status socket_refused(const char *text, int failure, const char *flag, char *err, size_t err_size)
{
    snprintf(err, err_size, "cannot listen on %s: %s: %s --%s", text,
             failure == EADDRINUSE ? "address in use" : strerror(failure), socket_advice(failure), flag);
    return ST_IO;
}

static bool socket_family_missing(int failure)
{
    return failure == EAFNOSUPPORT || failure == EADDRNOTAVAIL;
}

static enum status socket_open_refused(const struct addrinfo *ai, int failure, const char *flag, char *err, size_t err_size)
{
    char text[SOCKET_TEXT_MAX];
    socket_put_address(ai->ai_addr, ai->ai_addrlen, text, sizeof text);
    return socket_refused(text, failure, flag, err, err_size);
}

static enum status socket_open_all(struct addrinfo *list, int port, const char *flag, struct sockets *s,
                            char *err, size_t err_size)
{
    for (struct addrinfo *ai = list; ai && s->n < SOCKETS_MAX - 1; ai = ai->ai_next) {
        socket_set_port(ai->ai_addr, s->n > 0 ? s->port : port);
        int fd = socket_bind_to(ai);
        if (fd < 0 && socket_family_missing(errno) && (s->n > 0 || ai->ai_next))
            continue;
        if (fd < 0)
            return socket_open_refused(ai, errno, flag, err, err_size);
        s->fds[s->n++] = fd;
        if (s->n > 1)
            continue;
        s->port = socket_port_of(fd);
        if (s->port < 0)
            return socket_open_refused(ai, errno, flag, err, err_size);
        socket_set_port(ai->ai_addr, s->port);
        socket_put_address(ai->ai_addr, ai->ai_addrlen, s->text, sizeof s->text);
    }
    return ST_OK;
}

enum status sockets_open(const char *host, int port, const char *flag, struct sockets *ret_sockets,
                         char *err, size_t err_size)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    struct sockets s = {.n = 0};
    int failure = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, "0", &hints, &list);
    if (failure != 0) {
        snprintf(err, err_size, "cannot find the address of bind = %s: %s: choose another --bind", host,
                 failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
        return ST_IO;
    }
    enum status status = socket_open_all(list, port, flag, &s, err, err_size);
    freeaddrinfo(list);
    if (status != ST_OK) {
        sockets_close(&s);
        return status;
    }
    *ret_sockets = s;
    return ST_OK;
}

enum status sockets_listen(const struct sockets *s, const char *flag, char *err, size_t err_size)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (listen(s->fds[i], BACKLOG) != 0)
            return socket_refused(s->text, errno, flag, err, err_size);
    }
    return ST_OK;
}

void sockets_close(struct sockets *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->fds[i] >= 0)
            close(s->fds[i]);
        s->fds[i] = -1;
    }
}
