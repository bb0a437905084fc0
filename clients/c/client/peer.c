/*
 * peer.c: keeps the client's one connection: has it dialled, reads and writes it, and gives it up. The states are drawn
 * in peer.h.
 */
#include "clients/c/client/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/dial.h"
#include "clients/c/client/dispatch.h"
#include "clients/c/client/intake.h"
#include "clients/c/client/logs.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/login.h"
#include "clients/c/wire/request.h"

#define READ_TURNS 16 /* reads in one turn of the driver */
#define WRITE_PIECES 256 /* frames in one write */
#define WRITE_TURNS 16
#define LAST_CHANCE_MS 1000

enum hmq_status peer_init(struct hmq_client *c, hmq_error *err)
{
    c->peer.net = NET_NONE;
    c->peer.pause_ms = options_num(c->options, CHOICE_reconnect_min_ms);
    intake_init(c);
    enum hmq_status status = dial_init(&c->peer.dial, c->options, err);
    return status == HMQ_OK && !net_check(c->options, err) ? HMQ_EINVAL : status;
}

static void peer_close_socket(struct hmq_client *c)
{
    if (c->peer.net.fd < 0)
        return;
    watch_socket(c, c->peer.net.fd, 0, 0);
    net_close(&c->peer.net);
    c->peer.state = PEER_DOWN;
}

void peer_fini(struct hmq_client *c)
{
    peer_close_socket(c);
    dial_fini(c);
    intake_fini(c);
}

/* The pause is at least half of pause_ms, and at random up to all of it; the next one is twice as long. */
static void peer_plan_retry(struct hmq_client *c)
{
    struct peer *peer = &c->peer;
    int64_t max = options_num(c->options, CHOICE_reconnect_max_ms);
    uint64_t chance = 0;
    if (!clock_random(&chance))
        chance = (uint64_t)clock_ms();
    peer->next_try_ms =
        clock_ms() + peer->pause_ms / 2 + (int64_t)(chance % (uint64_t)(peer->pause_ms / 2 + 1));
    peer->pause_ms = peer->pause_ms * 2 < max ? peer->pause_ms * 2 : max;
}

/* No connection came of this round: the next one begins after a pause. */
static void peer_round_failed(struct hmq_client *c)
{
    c->peer.state = PEER_DOWN;
    peer_plan_retry(c);
}

/* What had been connected is no use. */
static void peer_attempt_failed(struct hmq_client *c, const char *why)
{
    char where[160], text[HMQ_ERROR_TEXT_SIZE];
    address_describe(&c->peer.won.address, where, sizeof where);
    snprintf(text, sizeof text, "%s: %s", where, why);
    peer_close_socket(c);
    client_note_failure(c, text);
    peer_round_failed(c);
}

static void peer_attempt(struct hmq_client *c)
{
    hmq_error err;
    if (dial_begin(c, &err)) {
        c->peer.state = PEER_CONNECTING;
        return;
    }
    client_note_failure(c, err.text);
    peer_round_failed(c);
}

struct peer_inner {
    struct call call;
    struct hmq_client *client;
};

static void peer_inner_done(struct call *call, const struct call_outcome *outcome)
{
    (void)outcome;
    call_fini(call);
    free(call);
}

/* Where it is refused, requests go on, and end with HMQ_ENOAUTH. */
static void peer_login_done(struct call *call, const struct call_outcome *outcome)
{
    const struct peer_inner *login = (struct peer_inner *)(void *)call; /* the call is its first member */
    char text[HMQ_ERROR_TEXT_SIZE];
    if (outcome->status >= HMQ_EREFUSED) {
        snprintf(text, sizeof text, "the login was refused: %.*s", (int)outcome->text.len,
                 (const char *)outcome->text.data);
        client_event(login->client, HMQ_EVENT_TROUBLE, text);
    }
    peer_inner_done(call, outcome);
}

/* A request of the client's own. NULL: no memory. */
static struct call *peer_inner_call(struct hmq_client *c, int64_t timeout_ms)
{
    struct peer_inner *inner = malloc(sizeof *inner);
    if (!inner)
        return NULL;
    inner->client = c;
    call_init(&inner->call, client_id(c), peer_inner_done);
    inner->call.kind = CALL_INNER;
    inner->call.deadline_ms = clock_ms() + timeout_ms;
    return &inner->call;
}

static void peer_inner_submit(struct hmq_client *c, struct call *call)
{
    if (client_submit(c, call, 0) != HMQ_OK) {
        call_fini(call);
        free(call);
    }
}

/* Submits the login, which is written before everything that waits already. */
static void peer_login(struct hmq_client *c)
{
    const struct login *login = login_of(c->options);
    if (!login)
        return;
    struct call *call = peer_inner_call(c, options_num(c->options, CHOICE_call_timeout_ms));
    if (!call)
        return;
    call->kind = CALL_LOGIN;
    call->done = peer_login_done;
    logs_say(c, HMQ_LOG_DEBUG, "logging in by %s", login->name);
    if (login->write(c->options, call, NULL)) {
        peer_inner_submit(c, call);
        return;
    }
    call_fini(call);
    free(call);
}

static void peer_connected(struct hmq_client *c)
{
    struct peer *peer = &c->peer;
    char where[160];
    if (!intake_begin(c)) {
        peer_attempt_failed(c, "no memory");
        return;
    }
    address_describe(&peer->won.address, where, sizeof where);
    peer->state = PEER_UP;
    peer->answered = false;
    peer->heard_us = clock_us();
    peer->pinged = false;
    peer_login(c);
    pthread_mutex_lock(&c->lock);
    c->line = LINE_UP;
    c->connects++;
    c->epoch++;
    pthread_mutex_unlock(&c->lock);
    client_changed(c);
    client_event(c, HMQ_EVENT_CONNECTED, where);
}

void peer_lost(struct hmq_client *c, const char *why)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    if (c->peer.state != PEER_UP)
        return;
    peer_close_socket(c);
    peer_plan_retry(c);
    intake_drop(c);
    pthread_mutex_lock(&c->lock);
    snprintf(c->last_error, sizeof c->last_error, "%s", why);
    c->line = LINE_DOWN;
    c->disconnects++;
    c->flooded = false;
    core_lost(&c->core, &dead);
    client_ending(c);
    size_t kept = c->core.pending;
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &dead);
    client_event(c, HMQ_EVENT_DISCONNECTED, why);
    if (kept > 0)
        logs_say(c, HMQ_LOG_INFO, "%zu requests are sent again on the next connection", kept);
}

/* Only a broker that says something is one that works: one that accepts and closes is tried ever more rarely. */
static void peer_answered(struct hmq_client *c)
{
    if (!c->peer.answered)
        c->peer.pause_ms = options_num(c->options, CHOICE_reconnect_min_ms);
    c->peer.answered = true;
}

/* Dispatches the whole frames of the input. False: the connection was lost. */
static bool peer_take_frames(struct hmq_client *c)
{
    struct rpc_frame frame;
    char err[HMQ_ERROR_TEXT_SIZE];
    size_t used = 0;
    enum status status;
    do {
        status = rpc_reader_next(c->peer.intake.reader, intake_bytes(c), &frame, &used, err, sizeof err);
        if (status == ST_OK) {
            peer_answered(c);
            intake_dispatches(c);
            dispatch_frame(c, &frame);
            intake_used(c, used);
        }
        if (status == ST_MORE)
            status = intake_settle(c);
    } while (status == ST_OK);
    if (status == ST_BAD || status == ST_NOMEM) {
        peer_lost(c, status == ST_BAD ? err : "no memory for a reply");
        return false;
    }
    return true;
}

static bool peer_is_flooded(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool flooded = c->flooded;
    pthread_mutex_unlock(&c->lock);
    if (flooded)
        peer_lost(c, "the broker sends requests, but does not read what it is answered");
    return flooded;
}

static const char too_large[] = "no memory for a reply, or it is larger than max_reply_bytes, or than max_memory has room for";

/* Reads once. True where there may be more to read. */
static bool peer_read_some(struct hmq_client *c)
{
    struct peer *peer = &c->peer;
    struct iovec iov[2] = {{0}};
    size_t pieces = intake_room(c, iov);
    if (pieces == 0) {
        peer_lost(c, too_large);
        return false;
    }
    ssize_t n = net_read_pieces(&peer->net, iov, pieces);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        peer_lost(c, n == 0 ? "the broker closed the connection" : peer->net.why ? peer->net.why : strerror(errno));
        return false;
    }
    intake_added(c, iov, (size_t)n);
    peer->heard_us = clock_us();
    peer->pinged = false;
    pthread_mutex_lock(&c->lock);
    c->bytes_in += (uint64_t)n;
    pthread_mutex_unlock(&c->lock);
    if (!peer_take_frames(c) || peer_is_flooded(c))
        return false;
    if (!intake_may_grow(c)) { /* the rest of the frame that has begun need not be waited for */
        peer_lost(c, too_large);
        return false;
    }
    return (size_t)n >= iov[0].iov_len || peer->net.has_more;
}

static void peer_ping(struct hmq_client *c, int64_t keepalive)
{
    struct call *call = peer_inner_call(c, 2 * keepalive);
    c->peer.pinged = true;
    c->peer.overdue = false;
    c->peer.give_up_ms = clock_ms() + keepalive;
    if (!call)
        return;
    request_begin(call, "ping", 0);
    peer_inner_submit(c, call);
}

/* Pings a broker that was silent for keepalive_ms, and gives it up after as long again. As this process may have been
 * stopped meanwhile, with the reply in the socket, or the ping not yet written, it has another second then. */
static void peer_keep_alive(struct hmq_client *c)
{
    struct peer *peer = &c->peer;
    int64_t keepalive = options_num(c->options, CHOICE_keepalive_ms), now_ms = clock_ms();
    if (keepalive == 0 || now_ms - peer->heard_us / 1000 < keepalive)
        return;
    if (!peer->pinged) {
        peer_ping(c, keepalive);
    } else if (now_ms >= peer->give_up_ms && !peer->overdue) {
        peer->overdue = true;
        peer->give_up_ms = now_ms + (keepalive < LAST_CHANCE_MS ? keepalive : LAST_CHANCE_MS);
    } else if (now_ms >= peer->give_up_ms) {
        peer_lost(c, "the broker is silent");
    }
}

/* Goes on with what the transport does before the first byte of ours. */
static void peer_shake(struct hmq_client *c)
{
    hmq_error err;
    enum net_shake shake = net_shake(&c->peer.net, &err);
    c->peer.shake = shake;
    if (shake == NET_FAILED)
        peer_attempt_failed(c, err.text);
    else if (shake == NET_DONE)
        peer_connected(c);
    else if (clock_ms() >= c->peer.won.deadline_ms)
        peer_attempt_failed(c, "no answer");
}

static void peer_dial(struct hmq_client *c)
{
    struct peer *peer = &c->peer;
    hmq_error err;
    enum dial_result result = dial_step(c, &peer->won);
    if (result == DIAL_FAILED)
        peer_round_failed(c);
    if (result != DIAL_WON)
        return;
    const struct endpoint *e = &peer->dial.endpoints.list[peer->won.endpoint];
    if (!net_begin(&peer->net, peer->won.fd, e, c->options, &err)) {
        peer_attempt_failed(c, err.text);
        return;
    }
    peer->state = PEER_SHAKING;
    peer_shake(c);
}

void peer_progress(struct hmq_client *c, bool readable, bool writable)
{
    struct peer *peer = &c->peer;
    switch (peer->state) {
    case PEER_DOWN:
        if (clock_ms() >= peer->next_try_ms)
            peer_attempt(c);
        if (peer->state == PEER_CONNECTING)
            peer_dial(c);
        return;
    case PEER_CONNECTING:
        peer_dial(c);
        return;
    case PEER_SHAKING:
        peer_shake(c);
        return;
    case PEER_UP:
        readable = readable || (writable && peer->net.wants_write) || peer->net.has_more;
        if (writable) {
            pthread_mutex_lock(&c->lock);
            c->line = LINE_UP;
            pthread_mutex_unlock(&c->lock);
        }
        for (int i = 0; readable && i < READ_TURNS; i++)
            readable = peer_read_some(c);
        if (peer->state == PEER_UP)
            peer_keep_alive(c);
    }
}

/* Writes up to WRITE_TURNS times. Under the lock. 0, or an errno: the connection is broken. */
static int peer_write_locked(struct hmq_client *c, struct call_list *done)
{
    struct iovec iov[WRITE_PIECES];
    for (int i = 0; i < WRITE_TURNS && c->line == LINE_UP && core_flush_due(&c->core, clock_ms()); i++) {
        ssize_t n = net_write(&c->peer.net, iov, core_gather(&c->core, iov, WRITE_PIECES));
        if (n < 0 && errno != EAGAIN)
            return errno;
        if (n < 0)
            c->line = LINE_FULL;
        if (n > 0) {
            c->bytes_out += (uint64_t)n;
            core_wrote(&c->core, (size_t)n, done);
        }
    }
    return c->core.broken ? ENOMEM : 0;
}

void peer_write(struct hmq_client *c)
{
    struct call_list done = TAILQ_HEAD_INITIALIZER(done);
    if (c->peer.state != PEER_UP)
        return;
    pthread_mutex_lock(&c->lock);
    int failed = peer_write_locked(c, &done);
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &done);
    if (failed)
        peer_lost(c, c->peer.net.why ? c->peer.net.why : strerror(failed));
}

int64_t peer_due(const struct hmq_client *c)
{
    const struct peer *peer = &c->peer;
    int64_t keepalive = options_num(c->options, CHOICE_keepalive_ms);
    if (peer->state == PEER_DOWN)
        return peer->next_try_ms;
    if (peer->state == PEER_CONNECTING)
        return dial_due(&peer->dial);
    if (peer->state == PEER_SHAKING)
        return peer->won.deadline_ms;
    if (peer->net.has_more)
        return CORE_NOW;
    if (keepalive == 0)
        return CORE_NEVER;
    return peer->pinged ? peer->give_up_ms : peer->heard_us / 1000 + keepalive;
}

void peer_watch(struct hmq_client *c, bool full)
{
    const struct peer *peer = &c->peer;
    if (peer->state == PEER_UP)
        watch_socket(c, peer->net.fd, 1, full || peer->net.wants_write);
    else if (peer->state == PEER_SHAKING)
        watch_socket(c, peer->net.fd, peer->shake == NET_WANTS_READ, peer->shake == NET_WANTS_WRITE);
}
