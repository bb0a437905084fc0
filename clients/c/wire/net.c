/* net.c: opens, reads and writes non-blocking sockets, through the table of a transport; see net.h. */
#include "clients/c/wire/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/c/wire/net_tls.h"

int net_connect(const struct address *a)
{
    int on = 1, failed_errno;
    int fd = socket(a->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ready = a->at.ss_family == AF_UNIX || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    if (ready && (connect(fd, (const struct sockaddr *)(const void *)&a->at, a->len) == 0 || errno == EINPROGRESS))
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

static ssize_t plain_read(struct net_link *n, void *to, size_t size)
{
    ssize_t got;
    do
        got = recv(n->fd, to, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t plain_read_pieces(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = pieces};
    ssize_t got;
    do
        got = recvmsg(n->fd, &m, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t plain_write(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = pieces};
    ssize_t put;
    do
        put = sendmsg(n->fd, &m, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put;
}

const struct transport transport_plain = {
    .name = "plain", .read = plain_read, .read_pieces = plain_read_pieces, .write = plain_write};

const struct transport *net_transport_of(const struct hmq_options *o)
{
    if (o->transport)
        return o->transport;
    return options_num(o, CHOICE_tls) ? &transport_tls : &transport_plain;
}

bool net_check(const struct hmq_options *o, hmq_error *err)
{
    return net_transport_of(o) != &transport_tls || net_tls_check(o, err);
}

bool net_begin(struct net_link *n, int fd, const struct endpoint *e, const struct hmq_options *o, hmq_error *err)
{
    *n = (struct net_link){.transport = net_transport_of(o), .fd = fd};
    return !n->transport->begin || n->transport->begin(n, e, o, err);
}

enum net_shake net_shake(struct net_link *n, hmq_error *err)
{
    return n->transport->shake ? n->transport->shake(n, err) : NET_DONE;
}

ssize_t net_read(struct net_link *n, void *to, size_t size)
{
    return n->transport->read(n, to, size);
}

ssize_t net_read_pieces(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    if (pieces > 1 && n->transport->read_pieces)
        return n->transport->read_pieces(n, iov, pieces);
    return n->transport->read(n, iov[0].iov_base, iov[0].iov_len);
}

ssize_t net_write(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    return n->transport->write(n, iov, pieces);
}

void net_close(struct net_link *n)
{
    if (n->fd < 0)
        return;
    if (n->transport->end)
        n->transport->end(n);
    (void)shutdown(n->fd, SHUT_RDWR); /* a process that has forked may have another descriptor of it */
    close(n->fd);
    *n = NET_NONE;
}
