/*
 * conn.c: sockets, buffers, and the decisions of a connection's life. All decisions are made in one
 * place, conn_settle, once a turn and connection: parse on, flush, finish, watch.
 *
 * Buffers come from the loop's few spare ones and go back as soon as they are empty; input is
 * mostly parsed right where the loop read it. So memory follows the bytes under way, not the
 * connections.
 */
#include "broker/net/conn.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/serve/checkback.h"
#include "broker/net/dialect.h"
#include "broker/serve/dispatch.h"
#include "broker/base/log.h"
#include "broker/net/loop_inner.h"
#include "broker/serve/stream.h"

#define LINGER_MS 2000
#define IN_HARD_MAX ((size_t)(REQUEST_BYTES_MAX + KIB(512)))
#define POP_COST ((size_t)KIB(64))
#define FIRST_BYTE_TLS 0x16

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_closed(evutil_socket_t fd, short what, void *arg);
static void linger_fires(struct timer *t, void *arg);

/* ---- slots ---- */

static enum status slots_grow(struct loop *l)
{
    uint32_t size = l->n_slots ? l->n_slots * 2 : 64;
    struct slot *slots = realloc(l->slots, size * sizeof *slots);
    if (!slots)
        return ST_NOMEM;
    for (uint32_t i = l->n_slots; i < size; i++)
        slots[i] = (struct slot){.next_free = i + 1 < size ? i + 1 : UINT32_MAX};
    l->free_slot = l->n_slots;
    l->slots = slots;
    l->n_slots = size;
    return ST_OK;
}

static enum status slot_take(struct loop *l, struct conn *c)
{
    pthread_mutex_lock(&l->list_lock);
    enum status s = l->free_slot == UINT32_MAX ? slots_grow(l) : ST_OK;
    if (s == ST_OK) {
        c->slot = l->free_slot;
        struct slot *slot = &l->slots[c->slot];
        l->free_slot = slot->next_free;
        c->generation = ++slot->generation;
        slot->conn = c;
        l->n_conns++;
    }
    pthread_mutex_unlock(&l->list_lock);
    return s;
}

static void slot_release(struct loop *l, struct conn *c)
{
    pthread_mutex_lock(&l->list_lock);
    struct slot *slot = &l->slots[c->slot];
    slot->conn = NULL;
    slot->next_free = l->free_slot;
    l->free_slot = c->slot;
    l->n_conns--;
    pthread_mutex_unlock(&l->list_lock);
}

struct conn *conn_at(struct loop *l, uint32_t slot, uint32_t generation)
{
    if (slot >= l->n_slots || l->slots[slot].generation != generation)
        return NULL;
    return l->slots[slot].conn;
}

/* ---- beginning and end ---- */

static void watch(struct conn *c, short what)
{
    if (c->watching == what)
        return;
    if (c->watching)
        event_del(&c->read_event);
    c->watching = what;
    if (!what)
        return;
    event_assign(&c->read_event, c->loop->base, c->fd, (short)(what | EV_PERSIST),
                 what == EV_READ ? on_readable : on_closed, c);
    if (event_add(&c->read_event, NULL) != 0) {
        c->watching = 0;
        conn_doom(c);
    }
}

static void watch_writing(struct conn *c, bool on)
{
    if (c->writing == on)
        return;
    c->writing = on;
    if (!on)
        event_del(&c->write_event);
    else if (event_add(&c->write_event, NULL) != 0)
        conn_doom(c);
}

enum status conn_open(struct loop *l, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->loop = l;
    c->fd = fd;
    c->id = atomic_fetch_add(&l->server->next_client_id, 1) + 1;
    c->opened_ms = timers_now();
    c->proto = 2;
    c->linger.fire = linger_fires;
    buf_init(&c->in, IN_HARD_MAX);
    buf_init(&c->out, OUT_HARD_MAX);
    buf_init(&c->held, 0);
    resp_reader_init(&c->resp, l->bulk_max);
    event_assign(&c->write_event, l->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    if (slot_take(l, c) != ST_OK) {
        free(c);
        return ST_NOMEM;
    }
    counters_add(&l->counters, COUNTER_CONNECTIONS, 1);
    counters_add(&l->counters, COUNTER_CONNECTIONS_TOTAL, 1);
    watch(c, EV_READ);
    return ST_OK;
}

void conn_doom(struct conn *c)
{
    if (c->doomed)
        return;
    c->doomed = true;
    checkback_forsaken(c);
    c->next_doomed = c->loop->doomed;
    c->loop->doomed = c;
}

static void conn_free(struct conn *c)
{
    struct loop *l = c->loop;
    assert(!c->touched && !c->waits && !c->subscriptions && !c->streams && !c->marks.n);
    watch(c, 0);
    watch_writing(c, false);
    timer_clear(&l->timers, &c->linger);
    slot_release(l, c);
    close(c->fd);
    atomic_fetch_sub(&l->server->connections, 1);
    counters_sub(&l->counters, COUNTER_CONNECTIONS, 1);
    loop_give_buf(l, &c->in);
    loop_give_buf(l, &c->out);
    buf_free(&c->held);
    resp_reader_free(&c->resp);
    rpc_reader_free(c->rpc);
    asks_fini(&c->asks);
    free(c->marks.m);
    free(c->name);
    free(c);
}

void conn_reap(struct loop *l)
{
    struct conn *c = l->doomed;
    l->doomed = NULL;
    for (struct conn *next; c; c = next) {
        next = c->next_doomed;
        if (c->touched) { /* still in the list of those to settle: at the end of the next turn */
            c->next_doomed = l->doomed;
            l->doomed = c;
            continue;
        }
        dispatch_drop_waits(c);
        pubsub_leave(c);
        streams_drop(c);
        conn_free(c);
    }
}

void conn_shut(struct conn *c)
{
    if (c->shut)
        return;
    c->shut = true;
    pubsub_leave(c);
    checkback_forsaken(c);
    streams_close(c);
    conn_touch(c);
}

enum status conn_set_name(struct conn *c, struct slice name)
{
    char *copy = NULL;
    if (name.len) {
        copy = strndup((const char *)name.data, name.len);
        if (!copy)
            return ST_NOMEM;
    }
    pthread_mutex_lock(&c->loop->list_lock);
    char *old = c->name;
    c->name = copy;
    pthread_mutex_unlock(&c->loop->list_lock);
    free(old);
    return ST_OK;
}

void conn_trim(struct conn *c)
{
    if (c->in.len == 0 && !c->skipping)
        resp_reader_free(&c->resp);
    if (c->in.len == 0 && c->rpc) {
        rpc_reader_free(c->rpc);
        c->rpc = NULL;
    }
    asks_trim(&c->asks);
    if (!c->marks.n) {
        free(c->marks.m);
        c->marks = (struct marks){0};
    }
}

/* ---- answers ---- */

void conn_touch(struct conn *c)
{
    if (c->touched)
        return;
    struct loop *l = c->loop;
    c->touched = true;
    c->active = true;
    c->next_touched = NULL;
    if (l->touched)
        l->touched_last->next_touched = c;
    else
        l->touched = c;
    l->touched_last = c;
}

struct buf *conn_out(struct conn *c)
{
    if (!c->out.data)
        loop_take_buf(c->loop, &c->out, OUT_HARD_MAX);
    return &c->out;
}

void conn_cut(struct conn *c, const char *why)
{
    log_event(LOG_WARN, why, " client=%" PRIu64 " unsent_bytes=%zu", c->id, conn_unsent(c));
    conn_doom(c);
}

void conn_pushed(struct conn *c)
{
    if (c->doomed)
        return;
    if (c->out.failed || conn_unsent(c) > c->loop->output_limit) {
        counters_add(&c->loop->counters, COUNTER_SUBSCRIBERS_CUT, 1);
        conn_cut(c, "subscriber cut: it does not read what it subscribed to");
        return;
    }
    conn_touch(c);
}

void conn_answer(struct conn *c, struct request rq, struct slice tokens)
{
    struct loop *l = c->loop;
    if (c->doomed)
        return;
    counters_add(&l->counters, COUNTER_COMMANDS, 1);
    if (rq.quiet)
        return;
    enum status s;
    if (tokens.len && tokens.data[0] == TOK_ERROR && reply_is_error(tokens, &s))
        counters_error(&l->counters, s);
    conn_out(c);
    if (c->dialect == DIALECT_RPC)
        rpc_answer(c, rq, tokens);
    else
        resp_answer(c, tokens);
    if (c->out.failed)
        conn_cut(c, "client cut: no room for its answers");
    conn_touch(c);
}

void conn_answer_in_order(struct conn *c, struct request rq, struct slice tokens)
{
    if (c->dialect == DIALECT_RPC || c->in_flight == 0) {
        conn_answer(c, rq, tokens);
        return;
    }
    assert(!c->holding);
    buf_put_slice(&c->held, tokens);
    c->holding = !c->held.failed;
    if (c->held.failed)
        conn_doom(c);
}

/* Outcomes that are only for our own functions have no code of their own on the wire. */
static enum status on_the_wire(enum status s)
{
    if (s < ST_WIRE_COUNT)
        return s;
    return s == ST_NOMEM ? ST_BUSY : ST_ERR;
}

void conn_refuse(struct conn *c, struct request rq, enum status s, const char *text)
{
    struct buf *r = loop_reply(c->loop);
    if (text)
        reply_error(r, on_the_wire(s), "%s", text);
    else
        reply_error(r, on_the_wire(s), NULL);
    if (r->failed)
        conn_doom(c);
    else
        conn_answer_in_order(c, rq, buf_slice(r));
}

void conn_protocol_error(struct conn *c, const char *text)
{
    counters_add(&c->loop->counters, COUNTER_PROTOCOL_ERRORS, 1);
    conn_refuse(c, (struct request){0}, ST_ERR, text);
    conn_shut(c);
}

static void release_held(struct conn *c)
{
    c->holding = false;
    conn_answer(c, (struct request){0}, buf_slice(&c->held));
    buf_free(&c->held);
}

static bool over_bound(const struct conn *c, unsigned part)
{
    return c->in_flight >= IN_FLIGHT_MAX / part || c->in_flight_bytes >= IN_FLIGHT_BYTES_MAX / part;
}

/* A POP is small but its answer may be large: so many of them in flight count for more. */
static size_t cost(const struct entry *e)
{
    return e->bytes + (e->cmd.info->id == CMD_POP ? POP_COST : 0);
}

void conn_entry_out(struct conn *c, const struct entry *e)
{
    c->in_flight++;
    c->in_flight_bytes += cost(e);
    if (over_bound(c, 1))
        c->throttled = true;
}

void conn_entry_back(struct conn *c, const struct entry *e)
{
    assert(c->in_flight > 0 && c->in_flight_bytes >= cost(e));
    c->in_flight--;
    c->in_flight_bytes -= cost(e);
    if (c->throttled && !over_bound(c, 2))
        c->throttled = false;
    if (c->in_flight == 0) {
        c->for_order = false;
        if (c->holding)
            release_held(c);
    }
    conn_touch(c);
}

/* ---- bytes in ---- */

bool conn_ready(const struct conn *c)
{
    return !c->shut && !c->doomed && !c->blocked && !c->holding && !c->throttled && !c->for_order &&
           conn_unsent(c) < OUT_SOFT_MAX;
}

static bool is_text(uint8_t first)
{
    return first == '*' || first == ' ' || first == '\t' || first == '\r' || first == '\n' ||
           (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
}

static void sniff(struct conn *c, uint8_t first)
{
    if (is_text(first)) {
        c->dialect = DIALECT_RESP;
    } else if (first >= 0x90 && first <= 0x9f) {
        c->dialect = DIALECT_RPC;
    } else if (first == FIRST_BYTE_TLS) {
        conn_protocol_error(c, "TLS is not available on this port yet: connect without it");
    } else {
        char text[96];
        snprintf(text, sizeof text, "Protocol error: unknown dialect (first byte 0x%02x)", first);
        conn_protocol_error(c, text);
    }
}

/* Parses what it can; returns how many bytes are done with. */
static size_t parse(struct conn *c, struct slice input)
{
    if (c->dialect == DIALECT_NONE && !c->shut)
        sniff(c, input.data[0]);
    if (c->shut || c->doomed)
        return input.len;
    c->stalled = !conn_ready(c);
    if (c->stalled)
        return 0;
    return c->dialect == DIALECT_RPC ? rpc_parse(c, input) : resp_parse(c, input);
}

static void drop_input(struct conn *c)
{
    c->in_at = 0;
    c->in.len = 0;
    loop_give_buf(c->loop, &c->in);
}

static void parse_kept(struct conn *c)
{
    struct slice left = slice_of(c->in.data + c->in_at, c->in.len - c->in_at);
    if (left.len == 0) {
        c->stalled = false;
        return;
    }
    c->in_at += parse(c, left);
    if (c->in_at == c->in.len || c->shut)
        drop_input(c);
}

static void keep_input(struct conn *c, struct slice rest)
{
    if (rest.len == 0)
        return;
    loop_take_buf(c->loop, &c->in, IN_HARD_MAX);
    buf_put_slice(&c->in, rest);
    if (c->in.failed)
        conn_cut(c, "client cut: no memory for its request");
}

static size_t read_size(const struct conn *c)
{
    if (c->in.len == 0)
        return READ_BYTES;
    return c->in.len < READ_BYTES_BULK ? READ_BYTES : READ_BYTES_BULK;
}

/* Where to read to: the loop's scratch page, or behind what is kept. */
static uint8_t *read_room(struct conn *c, size_t n)
{
    if (c->in.len == 0)
        return c->loop->scratch;
    if (c->in_at) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
    return buf_room(&c->in, n);
}

static void took(struct conn *c, uint8_t *bytes, size_t n)
{
    counters_add(&c->loop->counters, COUNTER_NET_IN, n);
    c->active = true;
    if (bytes == c->loop->scratch) {
        size_t used = parse(c, slice_of(bytes, n));
        if (!c->shut)
            keep_input(c, slice_of(bytes + used, n - used));
        return;
    }
    buf_added(&c->in, n);
    if (!c->stalled)
        parse_kept(c);
}

static void end_of_input(struct conn *c)
{
    if (c->eof)
        return;
    c->eof = true;
    dispatch_end_waits(c);
    streams_close(c);
    conn_touch(c);
}

bool conn_has_closed(struct conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    if (!c->eof && poll(&p, 1, 0) == 1)
        end_of_input(c);
    return c->eof;
}

static void discard(struct conn *c)
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

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)what;
    if (c->doomed)
        return;
    if (c->lingering) {
        discard(c);
        return;
    }
    size_t size = read_size(c);
    uint8_t *room = read_room(c, size);
    if (!room) {
        conn_cut(c, "client cut: no memory for its request");
        return;
    }
    ssize_t n = recv(fd, room, size, 0);
    if (n > 0)
        took(c, room, (size_t)n);
    else if (n == 0)
        end_of_input(c);
    else if (errno != EAGAIN && errno != EINTR)
        conn_doom(c);
    conn_touch(c);
}

/* While nothing is read, only that the client closed is of interest: its waits must end. */
static void on_closed(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (!c->doomed)
        end_of_input(c);
}

/* ---- bytes out ---- */

static void flush(struct conn *c)
{
    size_t left = conn_unsent(c);
    if (left == 0)
        return;
    ssize_t n = send(c->fd, c->out.data + c->out_at, left, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_doom(c);
            return;
        }
        n = 0;
    }
    counters_add(&c->loop->counters, COUNTER_NET_OUT, (uint64_t)n);
    c->sent += (uint64_t)n;
    if (c->marks.n)
        marks_sent(c);
    if ((size_t)n == left) {
        c->out_at = 0;
        c->out.len = 0;
        loop_give_buf(c->loop, &c->out);
        watch_writing(c, false);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at > c->out.len / 2) {
        buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    watch_writing(c, true);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    conn_touch(arg);
}

/* ---- decisions ---- */

static void linger_fires(struct timer *t, void *arg)
{
    (void)arg;
    conn_doom((struct conn *)((char *)t - offsetof(struct conn, linger)));
}

/* Everything is said. If the client may still be sending, a plain close would answer those bytes
 * with a reset, which can overtake the last answer: so the sending side is closed first. */
static void finish(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_doom(c);
        return;
    }
    discard(c);
    if (l->draining || timer_set(&l->timers, &c->linger, timers_now() + LINGER_MS) != ST_OK)
        conn_doom(c);
    c->lingering = true;
}

static bool is_finished(const struct conn *c)
{
    bool ends = c->shut || (c->eof && !c->stalled);
    return ends && !c->lingering && !c->in_flight && !c->n_waits && !c->holding && !conn_unsent(c);
}

static short wanted(const struct conn *c)
{
    if (c->lingering)
        return EV_READ;
    if (c->eof)
        return 0;
    bool full = c->stalled && c->in.len - c->in_at >= STALLED_INPUT_MAX;
    if (!c->shut && !full && !c->throttled && conn_unsent(c) < OUT_SOFT_MAX)
        return EV_READ;
    return c->n_waits || c->streams ? EV_CLOSED : 0;
}

void conn_settle(struct conn *c)
{
    assert(c->touched);
    if (!c->doomed && c->stalled && conn_ready(c))
        parse_kept(c);
    if (!c->doomed && c->streams)
        streams_pump(c);
    if (!c->doomed)
        flush(c);
    if (!c->doomed && is_finished(c))
        finish(c);
    if (!c->doomed)
        watch(c, wanted(c));
    c->touched = false;
    bool parses = c->stalled && conn_ready(c);
    if (!c->doomed && (parses || streams_have_room(c)))
        conn_touch(c);
}
