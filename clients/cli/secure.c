/* secure.c: the handshake, and sending, with a deadline; see secure.h. */
#include "clients/cli/secure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

static int64_t secure_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the deadline passed. */
static bool secure_wait(int fd, short what, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = what};
    int n;
    do {
        int64_t left_ms = deadline_ms - secure_now_ms();
        if (left_ms <= 0)
            return false;
        n = poll(&p, 1, left_ms < 60000 ? (int)left_ms : 60000);
    } while (n == 0 || (n < 0 && errno == EINTR));
    return n > 0;
}

/* The options of the library for the flags. NULL: no memory. */
static hmq_options *secure_options(const struct cli_options *o)
{
    hmq_options *lib = hmq_options_new();
    const char *pairs[][2] = {{"tls", "yes"},
                              {"tls_ca", o->cacert ? o->cacert : ""},
                              {"tls_cert", o->cert ? o->cert : ""},
                              {"tls_key", o->key ? o->key : ""},
                              {"tls_verify", o->insecure ? "no" : "yes"}};
    for (size_t i = 0; lib && i < sizeof pairs / sizeof *pairs; i++) {
        if (hmq_options_set(lib, pairs[i][0], pairs[i][1], NULL) != HMQ_OK) {
            hmq_options_free(lib);
            return NULL;
        }
    }
    return lib;
}

static bool secure_shake(struct net_link *link, int64_t deadline_ms, hmq_error *err)
{
    for (;;) {
        enum net_shake shake = net_shake(link, err);
        if (shake == NET_DONE || shake == NET_FAILED)
            return shake == NET_DONE;
        if (secure_wait(link->fd, shake == NET_WANTS_READ ? POLLIN : POLLOUT, deadline_ms))
            continue;
        (void)snprintf(err->text, sizeof err->text, "the TLS handshake takes too long");
        return false;
    }
}

bool secure_open(struct net_link *link, int fd, const struct cli_options *o, int64_t deadline_ms, hmq_error *err)
{
    char host[256];
    bool is_path = strncmp(o->host, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    (void)snprintf(host, sizeof host, "%s", o->host);
    struct endpoint e = {.host = host, .port = {is_path ? '\0' : '0'}}; /* no port: a Unix socket */
    hmq_options *lib = secure_options(o);
    *link = (struct net_link){.fd = fd};
    (void)snprintf(err->text, sizeof err->text, "no memory for TLS");
    bool open = lib && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 && net_begin(link, fd, &e, lib, err) &&
                secure_shake(link, deadline_ms, err);
    hmq_options_free(lib);
    if (open)
        return true;
    if (link->transport)
        net_close(link);
    else
        close(fd);
    *link = NET_NONE;
    return false;
}

int secure_send(struct net_link *link, const char *data, size_t size, int64_t deadline_ms)
{
    while (size > 0) {
        struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
        ssize_t n = net_write(link, &piece, 1);
        if (n < 0 && errno != EAGAIN)
            return errno;
        if (n < 0 && !secure_wait(link->fd, POLLOUT, deadline_ms))
            return ETIMEDOUT;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    while (link->wants_write) { /* it has taken the rest, and not sent it yet */
        if (!secure_wait(link->fd, POLLOUT, deadline_ms))
            return ETIMEDOUT;
        if (net_write(link, NULL, 0) < 0 && errno != EAGAIN)
            return errno;
    }
    return 0;
}
