/*
 * conn_tls.c: handshakes within their bounds (conn_tls.h).
 *
 * The first bytes are looked at where they lie, in the socket (MSG_PEEK): a plain connection is read as ever then, and
 * OpenSSL reads its socket from the first byte, so that the kernel can take over the ciphers (kTLS) where it knows how.
 * SO_RCVLOWAT keeps the socket from being reported before the rest of a ClientHello has come.
 *
 * A connection waits in one list at a time: loop.hellos for room, loop.unread for its turn; both by c->next_sliced and
 * STOP_TURN. loop.shakes are all that have an unfinished handshake, oldest first.
 */
#include "broker/net/conn_tls.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/net/conn_room.h"
#include "broker/tls/tls.h"

#define RECORD_HEAD 5 /* bytes: type, version (2), length (2) */
#define TLS_REQUIRED 1 /* the setting tls */

struct conn_tls {
    struct tls tls;
    int64_t begun_ms;
    struct conn *older, *newer; /* in loop.shakes, while the handshake is unfinished */
};

/* What it is waiting for on the wire. */
static ssize_t conn_tls_again(void)
{
    errno = EAGAIN;
    return -1;
}

static void conn_tls_account(struct conn *c)
{
    size_t bytes = c->tls ? tls_bytes(&c->tls->tls) : 0;
    if (bytes == c->tls_bytes)
        return;
    c->tls_bytes = bytes;
    conn_account(c);
}

/* ---- the lists ---- */

static void conn_tls_wait_first(struct conn_queue *q, struct conn *c)
{
    c->next_sliced = q->first;
    q->first = c;
    q->last = q->last ? q->last : c;
}

static void conn_tls_wait(struct conn *c, struct conn_queue *q)
{
    assert(!(c->stops & STOP_TURN));
    c->stops |= STOP_TURN;
    c->waits_for_room = q == &c->loop->hellos;
    if (c->waits_for_room) {
        conn_tls_wait_first(q, c);
    } else {
        conn_queue_add(q, c);
        c->loop->n_unread++;
    }
}

static void conn_tls_wait_no_more(struct conn *c)
{
    struct loop *l = c->loop;
    if (!(c->stops & STOP_TURN))
        return;
    conn_queue_remove(c->waits_for_room ? &l->hellos : &l->unread, c);
    l->n_unread -= !c->waits_for_room;
    c->stops &= ~(unsigned)STOP_TURN;
}

static void conn_tls_enlist(struct conn *c)
{
    struct loop *l = c->loop;
    c->tls->older = l->shakes.last;
    c->tls->newer = NULL;
    *(l->shakes.last ? &l->shakes.last->tls->newer : &l->shakes.first) = c;
    l->shakes.last = c;
    l->n_shakes++;
}

static void conn_tls_delist(struct conn *c)
{
    struct loop *l = c->loop;
    *(c->tls->older ? &c->tls->older->tls->newer : &l->shakes.first) = c->tls->newer;
    *(c->tls->newer ? &c->tls->newer->tls->older : &l->shakes.last) = c->tls->older;
    l->n_shakes--;
}

/* ---- bounds ---- */

static uint32_t conn_tls_most(const struct loop *l)
{
    size_t share = (size_t)settings_num(l->env.settings, SET_memory) / 16;
    size_t most = share / TLS_SHAKING_BYTES / (size_t)settings_num(l->env.settings, SET_io_threads);
    return most < SHAKES_LEAST ? SHAKES_LEAST : (uint32_t)most;
}

/* Is there room for one more? Where there is none, the oldest that has not finished in time makes some. */
static bool conn_tls_has_room(struct loop *l)
{
    if (l->n_shakes < conn_tls_most(l))
        return true;
    struct conn *oldest = l->shakes.first;
    if (timers_now() < oldest->tls->begun_ms + SHAKE_PATIENCE_MS)
        return false;
    counters_add(&l->counters, COUNTER_TLS_FAILURES, 1);
    log_event(LOG_INFO, "closing a connection: its TLS handshake takes long, and others wait", " client=%" PRIu64, oldest->id);
    conn_tls_delist(oldest);
    oldest->wire = WIRE_BROKEN;
    conn_doom(oldest);
    return true;
}

static void conn_tls_arm(struct loop *l)
{
    if (!l->hellos.first || !l->shakes.first || timer_is_set(&l->shake_timer))
        return;
    /* Without memory for the timer, the next turn looks. */
    if (timer_set(&l->timers, &l->shake_timer, l->shakes.first->tls->begun_ms + SHAKE_PATIENCE_MS) != ST_OK)
        return;
}

void conns_shake_timer_fires(struct timer *t, void *arg)
{
    (void)t, (void)arg; /* the turn that follows looks */
}

/* ---- the handshake ---- */

static void conn_tls_failed(struct conn *c, const char *why)
{
    char quoted[160];
    counters_add(&c->loop->counters, COUNTER_TLS_FAILURES, 1);
    log_event(LOG_INFO, "a TLS handshake failed", " client=%" PRIu64 " reason=%s", c->id,
              log_quote(why, quoted, sizeof quoted));
}

static ssize_t conn_tls_over(struct conn *c, const char *why)
{
    conn_tls_failed(c, why);
    if (c->wire == WIRE_SHAKING)
        conn_tls_delist(c);
    c->wire = WIRE_BROKEN;
    conn_doom(c);
    return conn_tls_again();
}

/* True: it is finished. */
static bool conn_tls_step(struct conn *c)
{
    struct loop *l = c->loop;
    int64_t begin = clock_mono_ns();
    enum tls_step step = tls_shake(&c->tls->tls);
    l->shakes_ns += clock_mono_ns() - begin;
    c->active = c->moved = true;
    if (step == TLS_WAITS)
        return false;
    if (step == TLS_FAILED) {
        conn_tls_over(c, tls_why(&c->tls->tls));
        return false;
    }
    conn_tls_delist(c);
    timer_clear(&l->timers, &c->linger);
    c->wire = WIRE_TLS;
    counters_add(&l->counters, COUNTER_TLS_HANDSHAKES, 1);
    counters_add(&l->counters, COUNTER_TLS_CONNECTIONS, 1);
    conn_tls_account(c);
    char name[TLS_NAME_MAX + 1];
    if (tls_user_name(&c->tls->tls, name))
        l->env.sessions->certified(c, slice_str(name));
    return true;
}

/* Makes what a handshake needs. */
static ssize_t conn_tls_begin(struct conn *c)
{
    struct loop *l = c->loop;
    const int one = 1;
    c->tls = calloc(1, sizeof *c->tls);
    if (!c->tls || !tls_new(&c->tls->tls, l->env.tls, c->fd)) {
        free(c->tls);
        c->tls = NULL;
        return conn_tls_over(c, "no memory, or the certificate was taken away");
    }
    if (c->hello_bytes && setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one) != 0)
        log_text(LOG_DEBUG, "a client disconnected before its TLS handshake");
    c->wire = WIRE_SHAKING;
    c->tls->begun_ms = timers_now();
    conn_tls_enlist(c);
    conn_tls_account(c);
    return 0;
}

/* How many bytes the socket must have before the handshake begins. */
static int conn_tls_needs(const uint8_t *head, ssize_t n)
{
    return n < RECORD_HEAD ? RECORD_HEAD : RECORD_HEAD + (head[3] << 8 | head[4]);
}

/* Has the whole ClientHello come? Where it has not, the socket is reported again when it has, or when the client has
 * ended its input, and then the connection is as good as closed. */
static bool conn_tls_has_hello(struct conn *c)
{
    uint8_t head[RECORD_HEAD];
    int there = 0;
    ssize_t n = recv(c->fd, head, sizeof head, MSG_PEEK);
    if (n <= 0 || ioctl(c->fd, FIONREAD, &there) != 0)
        return true; /* OpenSSL finds out what is wrong */
    int needs = conn_tls_needs(head, n);
    if (there >= needs || there < c->hello_bytes || needs == c->hello_bytes)
        return true;
    c->hello_bytes = needs;
    /* Where it cannot be set, and on Unix sockets, which report too early, it does not wait. */
    return setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &needs, sizeof needs) != 0;
}

/* Is it time for this connection? Where it is not, it waits in a list. */
static bool conn_tls_has_turn(struct conn *c)
{
    struct loop *l = c->loop;
    bool now = c == l->reading_tls;
    if (c->wire == WIRE_HELLO && !conn_tls_has_room(l)) {
        conn_tls_wait(c, &l->hellos);
        return false;
    }
    if (!now && (l->unread.first || l->shakes_ns >= SHAKES_NS)) {
        conn_tls_wait(c, &l->unread);
        return false;
    }
    return true;
}

/* Goes on with the handshake as far as it gets. True: it is finished. */
static bool conn_tls_go_on(struct conn *c)
{
    if (c->wire == WIRE_HELLO && conn_tls_begin(c) < 0)
        return false;
    return conn_tls_step(c);
}

/* Is plain text refused here? A Unix socket is no port. */
static bool conn_tls_is_required(const struct conn *c)
{
    int family = AF_INET;
    socklen_t size = sizeof family;
    return settings_num(c->loop->env.settings, SET_tls) == TLS_REQUIRED &&
           (getsockopt(c->fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 || family != AF_UNIX);
}

/* The first byte decides. */
static ssize_t conn_tls_sniff(struct conn *c, void *room, size_t n)
{
    uint8_t first;
    ssize_t got = recv(c->fd, &first, 1, MSG_PEEK);
    if (got <= 0)
        return got;
    if (first != FIRST_BYTE_TLS) {
        c->wire = WIRE_PLAIN;
        if (!conn_tls_is_required(c))
            return recv(c->fd, room, n, 0);
        conn_protocol_error(c, "this port speaks TLS only");
        return conn_tls_again();
    }
    c->wire = WIRE_HELLO;
    if (timer_set(&c->loop->timers, &c->linger, timers_now() + SHAKE_MS) != ST_OK)
        return conn_tls_over(c, "no memory");
    return 1;
}

ssize_t conn_tls_recv(struct conn *c, void *room, size_t n)
{
    /* The socket may be reported again before the turn that stops watching it: sockets are polled a little longer where more
     * commands are expected (gather.h). Who waits is in a list then, and must not go on, nor join one again. */
    if (c->stops & STOP_TURN)
        return conn_tls_again();
    if (c->wire == WIRE_NEW) {
        ssize_t got = conn_tls_sniff(c, room, n);
        if (c->wire != WIRE_HELLO)
            return got;
    }
    if (c->wire == WIRE_HELLO && !conn_tls_has_hello(c))
        return conn_tls_again();
    if (c->wire != WIRE_TLS && (!conn_tls_has_turn(c) || !conn_tls_go_on(c)))
        return conn_tls_again();
    ssize_t got = tls_read(&c->tls->tls, room, n);
    if (got < 0 && errno == EPROTO) {
        counters_add(&c->loop->counters, COUNTER_PROTOCOL_ERRORS, 1);
        log_event(LOG_DEBUG, "what came is no TLS", " client=%" PRIu64 " reason=\"%s\"", c->id, tls_why(&c->tls->tls));
        errno = EPROTO;
    }
    int failure = errno;
    conn_tls_account(c);
    errno = failure;
    return got;
}

/* Those that wait for room get it, as far as there is some; it counts from here on. */
static void conn_tls_begin_waiting(struct loop *l)
{
    while (l->hellos.first && conn_tls_has_room(l)) {
        struct conn *c = l->hellos.first;
        conn_tls_wait_no_more(c);
        if (c->state == CONN_OPEN && conn_tls_begin(c) == 0)
            conn_tls_wait(c, &l->unread);
    }
    conn_tls_arm(l);
}

static void conn_tls_begin_turn(struct loop *l)
{
    l->shakes_ns = 0;
    if (l->hellos.first)
        conn_tls_begin_waiting(l);
    l->unread_left = l->n_unread;
}

struct conn *conns_tls_next(struct loop *l, bool first)
{
    if (first)
        conn_tls_begin_turn(l);
    l->reading_tls = NULL;
    while (l->unread_left > 0 && l->shakes_ns < SHAKES_NS) {
        struct conn *c = l->unread.first;
        l->unread_left--;
        conn_tls_wait_no_more(c);
        if (c->state == CONN_OPEN)
            return l->reading_tls = c;
    }
    return NULL;
}

void conn_tls_settle(struct conn *c)
{
    if (c->wire == WIRE_TLS && c->tls->tls.unread && !(c->stops & STOPS_READING))
        conn_tls_wait(c, &c->loop->unread);
}

ssize_t conn_tls_send(struct conn *c, const void *from, size_t n)
{
    if (c->wire == WIRE_NEW) /* nothing was read yet: a refusal, which the client sees if it is a plain one */
        return send(c->fd, from, n, MSG_NOSIGNAL);
    if (c->wire != WIRE_TLS) {
        errno = EPIPE; /* in the middle of a handshake nothing can be said */
        return -1;
    }
    ssize_t sent = tls_write(&c->tls->tls, from, n);
    int failure = errno;
    conn_tls_account(c);
    errno = failure;
    return sent;
}

bool conn_tls_wants_write(const struct conn *c)
{
    return c->tls && c->tls->tls.wants_write;
}

bool conn_tls_may_write(const struct conn *c)
{
    return !c->tls || !c->tls->tls.write_waits;
}

void conn_tls_close(struct conn *c)
{
    if (c->wire == WIRE_TLS)
        tls_close(&c->tls->tls);
}

void conn_tls_free(struct conn *c)
{
    conn_tls_wait_no_more(c);
    if (c->wire == WIRE_HELLO || c->wire == WIRE_SHAKING)
        counters_add(&c->loop->counters, COUNTER_TLS_FAILURES, 1);
    if (!c->tls)
        return;
    if (c->wire == WIRE_SHAKING)
        conn_tls_delist(c);
    if (c->wire == WIRE_TLS)
        counters_sub(&c->loop->counters, COUNTER_TLS_CONNECTIONS, 1);
    tls_free(&c->tls->tls);
    free(c->tls);
    c->tls = NULL;
    c->tls_bytes = 0;
}
