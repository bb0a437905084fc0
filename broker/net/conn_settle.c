/*
 * conn_settle.c: decides what a connection does next. All is decided in one place, conn_settle, once a turn and
 * connection: parse on, push, flush, finish, watch.
 *
 * What is watched for: READ while it may be read on; only CLOSED while it may not and its session waits for
 * something, so that the end of the client is seen; else nothing.
 */
#include "broker/net/conn_settle.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/net/conn_in.h"
#include "broker/net/conn_out.h"
#include "broker/net/conn_room.h"
#include "broker/net/conn_slice.h"
#include "broker/net/conn_tls.h"
#include "broker/tls/tls_server.h"

#define LINGER_MS 2000
#define REAPED_AT_ONCE 256 /* closing a socket takes some 20 us, and thousands may end together */
#define REAP_NS INT64_C(5000000) /* a session may have more to do */

/* ---- events ---- */

static void settle_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (c->state == CONN_LINGERING)
        conn_in_discard(c);
    else if (!conn_is_doomed(c))
        conn_in_read(c);
}

/* While nothing is read, only the client's close is watched for, since its waits must end then. */
static void settle_on_closed(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    if (!conn_is_doomed(arg))
        conn_end_input(arg);
}

static void settle_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (c->state == CONN_OPEN && conn_tls_wants_write(c))
        conn_in_read(c);
    conn_touch(c);
}

static void settle_watch(struct conn *c, short what)
{
    if (c->watching == what)
        return;
    if (c->watching)
        event_del(&c->read_event);
    c->watching = what;
    if (!what)
        return;
    event_assign(&c->read_event, c->loop->base, c->fd, (short)(what | EV_PERSIST),
                 what == EV_READ ? settle_on_readable : settle_on_closed, c);
    if (event_add(&c->read_event, NULL) != 0) {
        c->watching = 0;
        conn_doom(c);
    }
}

static void settle_watch_writing(struct conn *c, bool on)
{
    if ((c->write_event != NULL) == on)
        return;
    if (!on) {
        event_free(c->write_event);
        c->write_event = NULL;
        return;
    }
    c->write_event = event_new(c->loop->base, c->fd, EV_WRITE | EV_PERSIST, settle_on_writable, c);
    if (!c->write_event || event_add(c->write_event, NULL) != 0)
        conn_doom(c);
}

/* ---- beginning and end ---- */

static void settle_linger_fires(struct timer *t, void *arg)
{
    (void)arg;
    conn_doom((struct conn *)((char *)t - offsetof(struct conn, linger)));
}

enum status conn_open(struct loop *l, const struct letter_socket *socket)
{
    struct conn *c = calloc(1, sizeof *c + l->env.sessions->size);
    if (!c)
        return ST_NOMEM;
    c->loop = l;
    c->fd = socket->fd;
    c->from = socket->from;
    c->counted_peer = socket->counted;
    c->id = atomic_fetch_add(&l->shared->next_client_id, 1) + 1;
    c->opened_ms = c->quiet_ms = timers_now();
    c->dialect = &dialect_unknown;
    c->proto = 2;
    c->wire = l->env.tls && tls_server_is_on(l->env.tls) ? WIRE_NEW : WIRE_PLAIN;
    c->linger.fire = settle_linger_fires;
    buf_init(&c->in, IN_HARD_MAX);
    buf_init(&c->out, OUT_HARD_MAX);
    buf_init(&c->held, 0);
    resp_reader_init(&c->resp, l->bulk_max);
    if (slots_take(&l->slots, c, &c->slot, &c->generation) != ST_OK) {
        free(c);
        return ST_NOMEM;
    }
    counters_add(&l->counters, COUNTER_CONNECTIONS, 1);
    counters_add(&l->counters, COUNTER_CONNECTIONS_TOTAL, 1);
    l->env.sessions->opened(c);
    settle_watch(c, EV_READ);
    return ST_OK;
}

static void settle_free(struct conn *c)
{
    struct loop *l = c->loop;
    assert(!c->touched && !c->needs);
    settle_watch(c, 0);
    settle_watch_writing(c, false);
    conn_tls_free(c);
    timer_clear(&l->timers, &c->linger);
    slots_release(&l->slots, c->slot);
    close(c->fd);
    atomic_fetch_sub(&l->shared->connections, 1);
    if (c->counted_peer)
        peers_leave(&l->shared->peers, &c->from);
    counters_sub(&l->counters, COUNTER_CONNECTIONS, 1);
    conn_leave_room(c);
    conn_leave_slices(c);
    bufs_give(&l->bufs, &c->in);
    bufs_give(&l->bufs, &c->out);
    buf_free(&c->held);
    resp_reader_free(&c->resp);
    assert(c->kept == 0);
    conn_account(c);
    rpc_reader_free(c->rpc);
    free(c->name);
    free(c->user);
    free(c);
}

void conn_reap(struct loop *l)
{
    struct conn *c = l->doomed;
    uint32_t n = 0;
    int64_t ends_ns = c ? clock_mono_ns() + REAP_NS : 0;
    l->doomed = NULL;
    for (struct conn *next; c; c = next) {
        next = c->next_doomed;
        /* If touched, it is in the list of those to settle: freed at the end of the next turn. */
        if (c->touched || ++n > REAPED_AT_ONCE || (n > 1 && clock_mono_ns() > ends_ns)) {
            c->next_doomed = l->doomed;
            l->doomed = c;
            continue;
        }
        l->env.sessions->gone(c);
        settle_free(c);
    }
}

/* ---- decisions ---- */

static void settle_flush(struct conn *c)
{
    conn_send(c);
    if (conn_is_doomed(c))
        return;
    bool waits = conn_unsent(c) > 0;
    if (c->wire != WIRE_PLAIN)
        waits = (waits && conn_tls_may_write(c)) || conn_tls_wants_write(c);
    settle_watch_writing(c, waits);
}

static bool settle_is_finished(const struct conn *c)
{
    bool ends = c->state == CONN_SHUT || (c->state == CONN_OPEN && (c->stops & STOP_EOF) && !c->stalled);
    return ends && !c->in_flight && !(c->needs & (CONN_WAITS | CONN_ANSWERS)) && !(c->stops & STOP_HELD) && !conn_unsent(c);
}

/* All replies are sent. If the client is still sending, a plain close would make the kernel send a reset, which may
 * reach the client before it has read the last reply. So only the sending side is closed at first, and input is thrown
 * away. */
static void settle_finish(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->wire != WIRE_PLAIN)
        conn_tls_close(c);
    if ((c->stops & STOP_EOF) || shutdown(c->fd, SHUT_WR) != 0) {
        conn_doom(c);
        return;
    }
    conn_become(c, CONN_LINGERING);
    conn_in_discard(c);
    if (l->draining || timer_set(&l->timers, &c->linger, timers_now() + LINGER_MS) != ST_OK)
        conn_doom(c);
}

static short settle_wanted(struct conn *c)
{
    bool full = c->stalled && conn_in_kept(c) >= STALLED_INPUT_MAX;
    c->stops = full ? c->stops | STOP_INPUT : c->stops & ~(unsigned)STOP_INPUT;
    if (c->state == CONN_LINGERING || !(c->stops & STOPS_READING))
        return EV_READ;
    bool waits = ((c->needs & (CONN_WAITS | CONN_PUMPS | CONN_ANSWERS)) || c->awaits) && !(c->stops & STOP_EOF);
    return waits ? EV_CLOSED : 0;
}

void conn_settle(struct conn *c)
{
    assert(c->touched);
    const struct session_ops *sessions = c->loop->env.sessions;
    if (c->stalled && conn_ready(c))
        conn_in_parse_kept(c);
    if (!conn_is_doomed(c) && (c->needs & CONN_PUMPS))
        sessions->pump(c);
    if (!conn_is_doomed(c))
        settle_flush(c);
    if (!c->in_flight && !conn_unsent(c) && !(c->needs & CONN_ANSWERS))
        conn_give_reply_lane(c);
    if (!conn_is_doomed(c) && settle_is_finished(c))
        settle_finish(c);
    if (c->wire != WIRE_PLAIN && !conn_is_doomed(c))
        conn_tls_settle(c);
    if (!conn_is_doomed(c))
        settle_watch(c, settle_wanted(c));
    c->touched = false;
    if (conn_is_doomed(c))
        return;
    bool parses = c->stalled && conn_ready(c);
    if (parses || ((c->needs & CONN_PUMPS) && sessions->has_room(c)))
        conn_touch(c);
}

void conns_settle(struct loop *l)
{
    struct conn *c = l->touched;
    l->touched = l->touched_last = NULL;
    for (struct conn *next; c; c = next) {
        next = c->next_touched;
        conn_settle(c);
    }
}
