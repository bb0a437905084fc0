/*
 * conn_out.c: sends, and cuts subscribers that do not read (conn_out.h).
 *
 * The output buffer comes from the loop's few spare ones and goes back as soon as it is empty.
 */
#include "broker/net/conn_out.h"
#include "broker/net/conn_room.h"
#include "broker/net/conn_tls.h"

#include <errno.h>
#include <sys/socket.h>

void conn_send(struct conn *c)
{
    size_t left = conn_unsent(c);
    if (left == 0)
        return;
    const uint8_t *from = c->out.data + c->out_at;
    ssize_t n = c->wire == WIRE_PLAIN ? send(c->fd, from, left, MSG_NOSIGNAL) : conn_tls_send(c, from, left);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_doom(c);
            return;
        }
        n = 0;
    }
    counters_add(&c->loop->counters, COUNTER_NET_OUT, (uint64_t)n);
    c->sent += (uint64_t)n;
    c->moved = c->moved || n > 0;
    if (c->needs & CONN_COUNTS_SENT)
        c->loop->env.sessions->sent(c);
    if ((size_t)n == left) {
        c->out_at = 0;
        c->out.len = 0;
        conn_give_buf(c, &c->out);
    } else {
        c->out_at += (size_t)n;
    }
    if (c->out_at > c->out.len / 2) {
        buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    conn_grew(c);
}

static void out_cut(struct conn *c, const char *why)
{
    counters_add(&c->loop->counters, COUNTER_SUBSCRIBERS_CUT, 1);
    conn_cut(c, why);
}

void conn_pushed(struct conn *c)
{
    if (conn_is_doomed(c))
        return;
    if (c->out.failed || conn_unsent(c) > c->loop->output_limit) {
        out_cut(c, "closing a subscriber's connection: it reads too slowly");
        return;
    }
    conn_grew(c);
    if (conn_memory_is_short(c)) {
        conn_send(c);
        if (conn_is_doomed(c))
            return;
        if (conn_unsent(c) && conn_memory_is_short(c) && conn_holds_much(c)) {
            out_cut(c, "closing a subscriber's connection: it does not read, and connections hold too much memory");
            return;
        }
    }
    conn_touch(c);
}
