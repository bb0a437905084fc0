/*
 * wire.c: sends blocking, and reads by waiting in poll until a deadline. Received bytes are buffered in w->in. To read
 * a line or a reply, a function receives more until the buffer has enough.
 */
#include "tests/lib/wire.h"

#include "tests/lib/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool __attribute__((format(printf, 2, 3))) wire_fail(struct wire *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->error, sizeof(w->error), fmt, args);
    va_end(args);
    return false;
}

bool wire_open(struct wire *w, uint16_t port)
{
    *w = (struct wire){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&w->in, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return wire_fail(w, "cannot connect to port %u: %s", port, strerror(errno));
    int on = 1;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return true;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
    buf_free(&w->in);
}

void wire_half_close(struct wire *w)
{
    (void)shutdown(w->fd, SHUT_WR);
}

bool wire_send(struct wire *w, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(w->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wire_fail(w, "cannot send: %s", strerror(errno));
        bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return true;
}

bool wire_send_str(struct wire *w, const char *text)
{
    return wire_send(w, slice_str(text));
}

bool wire_send_slowly(struct wire *w, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (!wire_send(w, slice_of(bytes.data + i, 1)))
            return false;
    }
    return true;
}

bool wire_send_words(struct wire *w, const struct slice *words, size_t n)
{
    struct buf out;
    buf_init(&out, 0);
    buf_printf(&out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, "$%zu\r\n", words[i].len);
        buf_put_slice(&out, words[i]);
        buf_put_str(&out, "\r\n");
    }
    bool ok = !out.failed && wire_send(w, buf_slice(&out));
    buf_free(&out);
    return ok;
}

/* Waits for more bytes until the deadline (0: does not wait). False: there were none. */
static bool receive(struct wire *w, int64_t deadline)
{
    if (w->closed)
        return wire_fail(w, "the broker has closed the connection");
    int64_t left = deadline - spawn_now_ms();
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    int ready = poll(&p, 1, left > 0 ? (int)left : 0);
    if (ready <= 0)
        return wire_fail(w, "nothing came before the deadline");
    uint8_t *room = buf_room(&w->in, 65536);
    if (!room)
        return wire_fail(w, "more than the test can hold");
    ssize_t n = recv(w->fd, room, 65536, 0);
    if (n <= 0) {
        w->closed = true;
        return wire_fail(w, "the broker has closed the connection");
    }
    buf_added(&w->in, (size_t)n);
    return true;
}

bool wire_fill(struct wire *w, size_t n)
{
    int64_t deadline = spawn_now_ms() + WIRE_DEADLINE_MS;
    while (w->in.len < n) {
        if (!receive(w, deadline))
            return false;
    }
    return true;
}

bool wire_line(struct wire *w, char *out, size_t out_size)
{
    int64_t deadline = spawn_now_ms() + WIRE_DEADLINE_MS;
    for (;;) {
        uint8_t *end = w->in.len ? memchr(w->in.data, '\n', w->in.len) : NULL;
        if (end) {
            size_t n = (size_t)(end - w->in.data);
            size_t used = n + 1;
            if (n > 0 && w->in.data[n - 1] == '\r')
                n--;
            (void)snprintf(out, out_size, "%.*s", (int)n, (const char *)w->in.data);
            buf_consume(&w->in, used);
            return true;
        }
        if (!receive(w, deadline))
            return false;
    }
}

bool wire_reply(struct wire *w, struct resp_value **ret_v)
{
    int64_t deadline = spawn_now_ms() + WIRE_DEADLINE_MS;
    for (;;) {
        size_t used = 0;
        enum resp_parse p = resp_value_parse(buf_slice(&w->in), ret_v, &used);
        if (p == RESP_PARSE_OK) {
            buf_consume(&w->in, used);
            return true;
        }
        if (p == RESP_PARSE_BAD)
            return wire_fail(w, "this is not RESP: %.*s", (int)(w->in.len < 80 ? w->in.len : 80),
                             (const char *)w->in.data);
        if (!receive(w, deadline))
            return false;
    }
}

bool wire_closed(struct wire *w)
{
    int64_t deadline = spawn_now_ms() + WIRE_DEADLINE_MS;
    while (w->in.len == 0 && !w->closed && receive(w, deadline))
        ;
    if (w->in.len > 0)
        return wire_fail(w, "there are %zu more bytes: %.*s", w->in.len,
                         (int)(w->in.len < 80 ? w->in.len : 80), (const char *)w->in.data);
    return w->closed || wire_fail(w, "the connection is still open");
}

bool wire_pending(struct wire *w)
{
    return w->in.len > 0 || receive(w, 0);
}
