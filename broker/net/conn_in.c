/*
 * conn_in.c: reads from the socket, keeps what is not parsed yet, and parses.
 *
 *   TLS: conn_tls_recv stands where recv does
 *   nothing kept       recv ──► the loop's scratch page ──► parse ──► what is left: kept in c->in
 *   something kept     recv ──► behind it, in c->in ─────── parse_kept, unless stalled
 *
 * Input is mostly parsed right where the loop read it, so an idle connection, and one whose requests come whole,
 * holds no buffer. One that stalls keeps its input, and is read until STALLED_INPUT_MAX is kept.
 *
 * To add a dialect: its first bytes in conn_in_sniff (dialect.h says the rest).
 */
#include "broker/net/conn_in.h"
#include "broker/net/conn_room.h"
#include "broker/net/conn_tls.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "broker/base/log.h"

#define READ_BYTES_BULK ((size_t)KIB(256)) /* behind a large request */
#define READ_BYTES_SHORT ((size_t)KIB(2)) /* while connections hold too much memory */
#define TAKEN_REST_MAX ((size_t)MIB(1)) /* is copied where a block is taken */
#define SHRINK_BYTES ((size_t)MIB(1))   /* a buffer is left for a small one when so much of it has been parsed */

static bool conn_in_is_text(uint8_t first)
{
    return first == '*' || first == ' ' || first == '\t' || first == '\r' || first == '\n' ||
           (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
}

static void conn_in_sniff(struct conn *c, uint8_t first)
{
    if (conn_in_is_text(first)) {
        c->dialect = &dialect_resp;
    } else if (first >= 0x90 && first <= 0x9f) {
        c->dialect = &dialect_rpc;
    } else if (first == FIRST_BYTE_TLS) {
        conn_protocol_error(c, "TLS is not spoken on this port: set tls_cert and tls_key, or connect without it");
    } else if (first == '{' || first == '[') {
        conn_protocol_error(c, "Protocol error: this looks like JSON, which is not spoken on this port: send commands as words "
                               "(SEND topic body), as RESP, or as MessagePack-RPC");
    } else {
        char text[96];
        snprintf(text, sizeof text, "Protocol error: unknown dialect (first byte 0x%02x)", first);
        conn_protocol_error(c, text);
    }
}

/* Parses as far as it may; returns how many bytes may be dropped. */
static size_t conn_in_parse(struct conn *c, struct slice input)
{
    const struct dialect *d = c->dialect;
    if (d == &dialect_unknown && c->state == CONN_OPEN) {
        conn_in_sniff(c, input.data[0]);
        d = c->dialect;
    }
    if (c->state != CONN_OPEN)
        return input.len;
    c->loop->visit_ns = 0;
    c->loop->visit_n = 0;
    c->stalled = !conn_ready(c);
    return c->stalled ? 0 : d->parse(c, input);
}

/* Keeps what is behind a large request in a buffer of its own size: the connection may not be read for a while, and the
 * large buffer would be kept until then. */
static void conn_in_shrink(struct conn *c)
{
    if (c->in_at < SHRINK_BYTES || conn_in_kept(c) > c->in.size / 4)
        return;
    struct buf rest;
    buf_init(&rest, IN_HARD_MAX);
    buf_put(&rest, c->in.data + c->in_at, conn_in_kept(c));
    if (rest.failed) {
        buf_free(&rest);
        return;
    }
    buf_free(&c->in);
    c->in = rest;
    c->in_at = 0;
}

/* An entry has taken the block: what is behind its request moves to another one. */
static void conn_in_leave(struct conn *c)
{
    struct buf rest;
    buf_init(&rest, IN_HARD_MAX);
    buf_put(&rest, c->in.data + c->in_at, conn_in_kept(c));
    c->in = rest;
    c->in_at = 0;
    c->in_taken = false;
    if (rest.failed)
        conn_cut(c, "closing a connection: no memory for its request");
}

struct slice conn_in_take(struct conn *c, struct slice bytes)
{
    uintptr_t at = (uintptr_t)bytes.data - (uintptr_t)c->in.data;
    bool inside = c->in.data && at < c->in.len && bytes.len <= c->in.len - at;
    if (!inside || c->in_taken || c->in.len - at - bytes.len > TAKEN_REST_MAX)
        return slice_of(NULL, 0);
    c->in_taken = true;
    return slice_of(c->in.data, c->in.size);
}

void conn_in_take_back(struct conn *c)
{
    c->in_taken = false;
}

void conn_in_parse_kept(struct conn *c)
{
    struct slice left = slice_of(c->in.data + c->in_at, conn_in_kept(c));
    if (left.len == 0) {
        c->stalled = false;
        return;
    }
    size_t used = conn_in_parse(c, left);
    c->in_at += used;
    if (c->in_taken)
        conn_in_leave(c);
    if (used && c->lane)
        conn_give_lane(c);
    if (c->in_at == c->in.len || c->state != CONN_OPEN) {
        c->in_at = 0;
        c->in.len = 0;
        conn_give_buf(c, &c->in);
    } else {
        conn_in_shrink(c);
    }
    conn_account(c);
}

static void conn_in_keep(struct conn *c, struct slice rest)
{
    if (!conn_memory_is_short(c)) /* spare buffers are large */
        bufs_take(&c->loop->bufs, &c->in, IN_HARD_MAX);
    buf_put_slice(&c->in, rest);
    conn_account(c);
    if (c->in.failed)
        conn_cut(c, "closing a connection: no memory for its request");
}

/* Where to read to: the loop's scratch page, or behind what is kept. NULL: no memory. */
static uint8_t *conn_in_room(struct conn *c, size_t n)
{
    if (c->in.len == 0)
        return c->loop->scratch;
    if (c->in_at) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
    return buf_room(&c->in, n);
}

/* n bytes were read to room: parses them, and keeps what is left. */
static void conn_in_use(struct conn *c, uint8_t *room, size_t n)
{
    if (room != c->loop->scratch) {
        buf_added(&c->in, n);
        conn_account(c);
        if (!c->stalled)
            conn_in_parse_kept(c);
        return;
    }
    size_t used = conn_in_parse(c, slice_of(room, n));
    if (c->state == CONN_OPEN && used < n)
        conn_in_keep(c, slice_of(room + used, n - used));
}

/* How much to read while connections hold too much memory: little where nothing is kept yet, so that small requests are
 * still answered. Behind what is kept, only with a lane. 0: it waits. */
static size_t conn_in_size_short(struct conn *c)
{
    if (c->in.len == 0)
        return READ_BYTES_SHORT;
    size_t needs = c->rpc ? rpc_reader_needs(c->rpc) : resp_reader_needs(&c->resp);
    c->request_bytes = needs > conn_in_kept(c) ? needs : conn_in_kept(c);
    size_t missing = c->request_bytes - conn_in_kept(c);
    if (!c->stalled && conn_takes_lane(c, c->request_bytes)) /* not much more than the request: the rest would be kept */
        return missing < READ_BYTES_SHORT ? READ_BYTES_SHORT : missing < READ_BYTES ? missing : READ_BYTES;
    conn_await_room(c, STOP_SHORT);
    return 0;
}

void conn_in_read(struct conn *c)
{
    size_t size = c->in.len < READ_BYTES_BULK ? READ_BYTES : READ_BYTES_BULK;
    if (conn_memory_is_short(c))
        size = conn_in_size_short(c);
    if (!size) {
        conn_touch(c);
        return;
    }
    uint8_t *room = conn_in_room(c, size);
    if (!room) {
        conn_cut(c, "closing a connection: no memory for its request");
        return;
    }
    ssize_t n = c->wire == WIRE_PLAIN ? recv(c->fd, room, size, 0) : conn_tls_recv(c, room, size);
    if (n > 0) {
        counters_add(&c->loop->counters, COUNTER_NET_IN, (uint64_t)n);
        c->active = true;
        c->moved = c->heard = true;
        conn_in_use(c, room, (size_t)n);
    } else if (n == 0) {
        conn_end_input(c);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_doom(c);
    }
    conn_touch(c);
}

void conn_in_discard(struct conn *c)
{
    for (size_t total = 0; total < OUT_SOFT_MAX;) {
        ssize_t n = recv(c->fd, c->loop->scratch, READ_BYTES, 0);
        if (n > 0) {
            total += (size_t)n;
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            conn_doom(c);
        return;
    }
}
