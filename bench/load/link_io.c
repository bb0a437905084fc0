/*
 * link_io.c: the socket of a link, which never blocks: connect, write what was asked, read what is answered, and
 * connect again when the connection breaks.
 *
 *   DOWN ──► CONNECTING ──► UP ──► DOWN (broken) ──(pause)──► CONNECTING ...
 *
 * A connection that breaks before it was up once ends the load: the broker is not there. One that breaks later is
 * made again for as long as --patience allows; the role decides for each op that was in flight whether it is asked
 * again (op->again) or has failed.
 */
#include "bench/load/link_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/base/units.h"
#include "bench/load/pump.h"
#include "bench/load/secure.h"

#define READ_BYTES (128u * 1024)
#define READS_A_TURN 8
#define BUFFER_KEEP (4u * 1024 * 1024)
#define PAUSE_CONNECT_NS (20 * NS_PER_MS)

/* Tells epoll about the socket: EPOLL_CTL_ADD or EPOLL_CTL_MOD. */
static void link_io_watch(struct load_link *l, int how)
{
    struct epoll_event e = {.events = EPOLLIN | (l->wants_write ? EPOLLOUT : 0u), .data.ptr = l};
    if (epoll_ctl(l->worker->epoll, how, l->fd, &e) != 0)
        load_fail(l->worker->load, "epoll cannot watch a socket: %s", strerror(errno));
}

void link_close(struct load_link *l)
{
    if (l->net.fd >= 0)
        net_close(&l->net);
    else if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->state = LINK_DOWN;
    l->wants_write = false;
}

/* The connection broke or could not be made. If it was never up, that ends the load. */
static void link_io_broken(struct load_link *l, const char *why)
{
    struct load *load = l->worker->load;
    bool was_connected = l->state == LINK_UP;
    link_close(l);
    buf_reset(&l->out, BUFFER_KEEP);
    buf_reset(&l->in, BUFFER_KEEP);
    l->out_at = l->in_at = 0;
    speech_reset(&l->speech);
    if (!l->was_up) {
        load_fail(load, "no connection to %s port %llu: %s; is it running?", load->o->host,
                  (unsigned long long)load->o->port, why);
        return;
    }
    if (l->phase == LINK_DONE)
        return;
    if (was_connected) {
        l->down_ns = l->worker->now_ns;
        METER_COUNT(&l->worker->meter, reconnects, 1);
        for (uint32_t i = 0; i < l->n_ops; i++) {
            if (l->ops[i].active)
                l->role->broken(l, &l->ops[i]);
        }
    }
    if (l->worker->now_ns - l->down_ns > load->o->patience)
        load_fail(load, "no connection to %s port %llu for %llds: %s", load->o->host,
                  (unsigned long long)load->o->port, (long long)(load->o->patience / NS_PER_S), why);
    if (!reminder_set(&l->connect_later))
        worker_remind(l->worker, &l->connect_later, l->worker->now_ns + PAUSE_CONNECT_NS);
}

void link_connect(struct load_link *l)
{
    struct load *load = l->worker->load;
    int yes = 1;
    l->fd = socket(load->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        load_fail(load,
                 "no socket: %s; raise the limit of open files (ulimit -n) or lower --connections",
                  strerror(errno));
        return;
    }
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* if this fails, requests are only slower */
    l->state = LINK_CONNECTING;
    l->wants_write = true;
    if (connect(l->fd, (struct sockaddr *)&load->address, load->address_len) != 0 &&
        errno != EINPROGRESS) {
        link_io_broken(l, strerror(errno));
        return;
    }
    link_io_watch(l, EPOLL_CTL_ADD);
}

/* Repeats the requests of ops that were in flight when the last connection broke, where their role wants that. */
static void link_io_resume(struct load_link *l)
{
    for (uint32_t i = 0; i < l->n_ops; i++) {
        struct op *op = &l->ops[i];
        if (op->active && op->again && !reminder_set(&op->pause))
            l->role->remind(l, op);
    }
}

/* Shakes hands and logs in, where that was asked for. */
static bool link_io_secure(struct load_link *l)
{
    const struct load *load = l->worker->load;
    hmq_error err;
    int fd = l->fd;
    if (!load->o->tls && !load->o->user[0] && !load->o->password)
        return true;
    if (!secure_open(&l->net, fd, load->o, &err)) {
        l->fd = -1;
        link_io_broken(l, err.text);
        return false;
    }
    if (!secure_login(&l->net, load->o, strcmp(l->speech.dialect->name, "rpc") == 0, &err)) {
        link_io_broken(l, err.text);
        return false;
    }
    if (!load->o->tls)
        l->net = NET_NONE; /* plain bytes go on without a detour */
    return true;
}

static ssize_t link_io_send(struct load_link *l)
{
    struct iovec piece = {.iov_base = l->out.data + l->out_at, .iov_len = l->out.len - l->out_at};
    if (l->net.fd < 0)
        return send(l->fd, piece.iov_base, piece.iov_len, MSG_NOSIGNAL);
    ssize_t n = net_write(&l->net, &piece, piece.iov_len > 0);
    return n;
}

static ssize_t link_io_recv(struct load_link *l, uint8_t *room, size_t size)
{
    return l->net.fd < 0 ? recv(l->fd, room, size, 0) : net_read(&l->net, room, size);
}

static void link_io_connected(struct load_link *l)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
        link_io_broken(l, strerror(why ? why : errno));
        return;
    }
    if (!link_io_secure(l))
        return;
    l->state = LINK_UP;
    l->wants_write = false;
    link_io_watch(l, EPOLL_CTL_MOD);
    if (!l->was_up) {
        l->was_up = true;
        atomic_fetch_add(&l->worker->load->links_up, 1);
    } else {
        link_io_resume(l);
    }
    pump_link(l);
}

void link_flush(struct load_link *l)
{
    if (l->out.failed)
        load_fail(l->worker->load,
                 "a connection has more than 1 GiB to send: lower --inflight or --batch");
    while (l->state == LINK_UP && !l->out.failed && l->out_at < l->out.len) {
        ssize_t n = link_io_send(l);
        if (n > 0) {
            l->out_at += (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            link_io_broken(l, strerror(errno));
            return;
        }
        if (errno == EAGAIN)
            break;
    }
    if (l->state != LINK_UP)
        return;
    bool left = l->out_at < l->out.len, rest = left || l->net.wants_write;
    if (!left) {
        buf_reset(&l->out, BUFFER_KEEP);
        l->out_at = 0;
    }
    if (rest != l->wants_write) {
        l->wants_write = rest;
        link_io_watch(l, EPOLL_CTL_MOD);
    }
}

static void link_io_take_answer(struct load_link *l, const struct answer *a)
{
    if (a->kind == ANSWER_CHECK) {
        if (l->role->question)
            l->role->question(l, a);
        return;
    }
    if (a->kind == ANSWER_RECORDS || a->kind == ANSWER_ENDED) {
        if (l->role->pushed)
            l->role->pushed(l, a);
        return;
    }
    uint32_t number = a->tag / l->span;
    struct op *op = number < l->n_ops ? &l->ops[number] : NULL;
    if (!op || !op->active || op->left == 0) {
        worker_trouble(l->worker, SLICE_LIT("TESTER a reply that matches no request"));
        return;
    }
    op->left--;
    l->role->answered(l, op, a->tag % l->span, a);
}

/* Takes all complete replies out of the input. */
static void link_io_take_answers(struct load_link *l)
{
    while (l->state == LINK_UP && l->in_at < l->in.len) {
        struct answer a;
        size_t used;
        struct slice input = slice_of(l->in.data + l->in_at, l->in.len - l->in_at);
        enum status s = speech_next(&l->speech, input, &a, &used);
        if (s == ST_MORE)
            break;
        if (s != ST_OK) {
            load_fail(l->worker->load,
                     "port %llu does not speak %s: check --port and --dialect",
                      (unsigned long long)l->worker->load->o->port, l->speech.dialect->name);
            return;
        }
        link_io_take_answer(l, &a);
        l->in_at += used;
    }
    if (l->in_at == l->in.len)
        buf_reset(&l->in, BUFFER_KEEP);
    else if (l->in_at > 0)
        buf_consume(&l->in, l->in_at);
    l->in_at = 0;
}

static void link_io_readable(struct load_link *l)
{
    for (int i = 0; (i < READS_A_TURN || l->net.has_more) && l->state == LINK_UP; i++) { /* epoll does not tell of has_more */
        uint8_t *room = buf_room(&l->in, READ_BYTES);
        if (!room) {
            load_fail(l->worker->load, "no memory for a reply");
            return;
        }
        ssize_t n = link_io_recv(l, room, READ_BYTES);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            link_io_broken(l, n == 0 ? "closed by the other side" : strerror(errno));
            return;
        }
        buf_added(&l->in, (size_t)n);
        l->worker->now_ns = mono_ns();
        link_io_take_answers(l);
        if ((size_t)n < READ_BYTES && !l->net.has_more)
            break;
    }
}

void link_event(struct load_link *l, uint32_t events)
{
    if (l->state == LINK_CONNECTING) {
        link_io_connected(l);
    } else if (l->state == LINK_UP) {
        bool more = l->net.fd >= 0 && (l->net.wants_write || l->net.has_more);
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || more)
            link_io_readable(l);
        if (l->role->heard && l->state == LINK_UP)
            l->role->heard(l);
        pump_link(l);
    }
    link_flush(l);
}

void link_remind(struct reminder *due)
{
    struct load_link *l = due->link;
    if (due->what == REMIND_CONNECT) {
        if (l->state == LINK_DOWN && l->phase != LINK_DONE)
            link_connect(l);
    } else if (due->what != REMIND_START) {
        struct op *op = &l->ops[due->what];
        if (op->active && l->state == LINK_UP)
            l->role->remind(l, op);
        else if (op->active)
            op->again = true;
    }
    pump_link(l);
    link_flush(l);
}
