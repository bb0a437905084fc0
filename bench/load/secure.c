/* secure.c: waits with poll() until a socket has shaken hands, has taken all, or brings something (secure.h). */
#include "bench/load/secure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/options/library.h"
#include "protocol/base/buf.h"

#define PATIENCE_MS 10000 /* for one wait */

static bool secure_failed(hmq_error *err, const char *why)
{
    (void)snprintf(err->text, sizeof err->text, "%s", why);
    return false;
}

static bool secure_wait(const struct net_link *link, short what, hmq_error *err)
{
    struct pollfd p = {.fd = link->fd, .events = what};
    int n;
    do
        n = poll(&p, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    return n > 0 || secure_failed(err, "the other side does not answer");
}

static const char *secure_why(const struct net_link *link)
{
    return link->why ? link->why : strerror(errno);
}

static bool secure_shake(struct net_link *link, hmq_error *err)
{
    enum net_shake shake;
    while ((shake = net_shake(link, err)) != NET_DONE) {
        if (shake == NET_FAILED || !secure_wait(link, shake == NET_WANTS_READ ? POLLIN : POLLOUT, err))
            return false;
    }
    return true;
}

bool secure_open(struct net_link *link, int fd, const struct options *o, hmq_error *err)
{
    char host[256];
    struct endpoint e = {.host = host, .port = "0"};
    hmq_options *lib = hmq_options_new();
    (void)snprintf(host, sizeof host, "%s", o->host);
    *link = NET_NONE;
    (void)secure_failed(err, "no memory for a connection");
    bool open = lib && library_set(lib, o, err) && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
    bool begun = open && net_begin(link, fd, &e, lib, err);
    open = begun && secure_shake(link, err);
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

bool secure_send(struct net_link *link, const void *data, size_t size, hmq_error *err)
{
    const char *at = data;
    while (size > 0 || link->wants_write) {
        struct iovec piece = {.iov_base = (void *)(uintptr_t)at, .iov_len = size};
        ssize_t n = net_write(link, &piece, size > 0);
        if (n < 0 && errno != EAGAIN)
            return secure_failed(err, secure_why(link));
        if ((n < 0 || size == 0) && link->wants_write && !secure_wait(link, POLLOUT, err))
            return false;
        if (n < 0 && !link->wants_write && !secure_wait(link, POLLOUT, err))
            return false;
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

size_t secure_receive(struct net_link *link, void *to, size_t size, hmq_error *err)
{
    for (;;) {
        ssize_t n = net_read(link, to, size);
        if (n > 0)
            return (size_t)n;
        if (n == 0 || errno != EAGAIN) {
            (void)secure_failed(err, n == 0 ? "closed by the other side" : secure_why(link));
            return 0;
        }
        if (!secure_wait(link, POLLIN, err))
            return 0;
    }
}

/* ---- the login ---- */

static void secure_put_resp(struct buf *out, const struct options *o)
{
    const char *words[] = {"AUTH", o->user, o->password ? o->password : ""};
    buf_printf(out, "*%d\r\n", o->user[0] ? 3 : 2);
    for (size_t i = 0; i < 3; i++) {
        if (i != 1 || o->user[0])
            buf_printf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    }
}

static void secure_put_text(struct buf *out, const char *text)
{
    size_t n = strlen(text);
    buf_put_u8(out, 0xda); /* str 16 */
    buf_put_u8(out, (uint8_t)(n >> 8));
    buf_put_u8(out, (uint8_t)n);
    buf_put(out, text, n);
}

/* [0, 0, "auth", [{"user": ..., "pass": ...}]] */
static void secure_put_rpc(struct buf *out, const struct options *o)
{
    static const uint8_t head[] = {0x94, 0x00, 0x00};
    buf_put(out, head, sizeof head);
    secure_put_text(out, "auth");
    buf_put_u8(out, 0x91);
    buf_put_u8(out, o->user[0] ? 0x82 : 0x81);
    if (o->user[0]) {
        secure_put_text(out, "user");
        secure_put_text(out, o->user);
    }
    secure_put_text(out, "pass");
    secure_put_text(out, o->password ? o->password : "");
}

/* The reply is short, and nothing else was asked: a good one is +OK, or [1, 0, nil, ...]. */
static bool secure_is_good(const char *reply, size_t n, bool rpc)
{
    static const char good[] = {(char)0x94, 1, 0, (char)0xc0};
    return rpc ? n >= sizeof good && memcmp(reply, good, sizeof good) == 0 : n > 0 && reply[0] == '+';
}

bool secure_login(struct net_link *link, const struct options *o, bool rpc, hmq_error *err)
{
    char reply[200];
    struct buf out;
    if (!o->user[0] && !o->password)
        return true;
    if (strlen(o->user) > UINT16_MAX || (o->password && strlen(o->password) > UINT16_MAX))
        return secure_failed(err, "the user's name or password is too long");
    buf_init(&out, 0);
    (rpc ? secure_put_rpc : secure_put_resp)(&out, o);
    bool sent = !out.failed && secure_send(link, out.data, out.len, err);
    buf_free(&out);
    size_t n = sent ? secure_receive(link, reply, sizeof reply - 1, err) : 0;
    if (n == 0 || secure_is_good(reply, n, rpc))
        return n > 0;
    for (size_t i = 0; i < n; i++)
        reply[i] = reply[i] < ' ' ? ' ' : reply[i];
    reply[n] = '\0';
    (void)snprintf(err->text, sizeof err->text, "the login was refused: %s", reply);
    return false;
}
