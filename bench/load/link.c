/*
 * link.c: a connection that never blocks: connect, write what was asked, read what is answered, and
 * begin anew when it breaks.
 *
 *   DOWN ──► CONNECTING ──► UP ──► DOWN (broken) ──(pause)──► CONNECTING ...
 */
#include "bench/load/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/base/units.h"

#define READ_BYTES (128u * 1024)
#define READS_A_TURN 8
#define BUFFER_CAP (1024u * 1024 * 1024)
#define BUFFER_KEEP (4u * 1024 * 1024)
#define PAUSE_CONNECT_NS (20 * NS_PER_MS)

bool link_init(struct link *l, struct worker *w, const struct role *role, uint32_t index,
               uint32_t n_ops, uint32_t parts_max)
{
    *l = (struct link){
        .worker = w, .role = role, .index = index, .fd = -1, .n_ops = n_ops, .span = parts_max};
    buf_init(&l->out, BUFFER_CAP);
    buf_init(&l->in, BUFFER_CAP);
    l->chance = chance_from(w->run->o->seed, (uint64_t)index * 4 + (role->sends ? 1 : 2));
    l->ops = calloc(n_ops, sizeof *l->ops);
    l->free_ops = calloc(n_ops, sizeof *l->free_ops);
    /* An op asks at most parts_max things at once. */
    if (!speech_init(&l->speech, w->run->dialect, n_ops * parts_max + 1) || !l->ops || !l->free_ops)
        return false;
    for (uint32_t i = 0; i < n_ops; i++) {
        buf_init(&l->ops[i].receipts, 0);
        l->free_ops[l->n_free++] = n_ops - 1 - i;
    }
    return true;
}

void link_fini(struct link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    for (uint32_t i = 0; l->ops && i < l->n_ops; i++) {
        buf_free(&l->ops[i].receipts);
        free(l->ops[i].seen);
    }
    free(l->ops);
    free(l->free_ops);
    free(l->key_taken);
    streamer_free(l->flow);
    speech_fini(&l->speech);
    buf_free(&l->out);
    buf_free(&l->in);
}

static void watch(struct link *l, int how)
{
    struct epoll_event e = {.events = EPOLLIN | (l->wants_write ? EPOLLOUT : 0u), .data.ptr = l};
    if (epoll_ctl(l->worker->epoll, how, l->fd, &e) != 0)
        run_fail(l->worker->run, "the system refused to watch a socket: %s", strerror(errno));
}

void link_close(struct link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->state = LINK_DOWN;
    l->wants_write = false;
}

static void try_later(struct link *l)
{
    if (l->retrying)
        return;
    l->retrying = true;
    agenda_put(&l->worker->agenda, l->worker->now_ns + PAUSE_CONNECT_NS, l, WHAT_CONNECT);
}

/* The connection broke, or there was none. Before the first one ever, that ends the run. */
static void broken(struct link *l, const char *why)
{
    struct run *r = l->worker->run;
    bool was_connected = l->state == LINK_UP;
    link_close(l);
    buf_reset(&l->out, BUFFER_KEEP);
    buf_reset(&l->in, BUFFER_KEEP);
    l->out_at = l->in_at = 0;
    speech_reset(&l->speech);
    if (!l->was_up) {
        run_fail(r, "no connection to %s port %llu: %s; is it running?", r->o->host,
                 (unsigned long long)r->o->port, why);
        return;
    }
    if (l->done)
        return;
    if (was_connected) {
        l->down_ns = l->worker->now_ns;
        METER_COUNT(&l->worker->meter, reconnects, 1);
        for (uint32_t i = 0; i < l->n_ops; i++) {
            if (l->ops[i].active)
                l->role->broken(l, &l->ops[i]);
        }
    }
    if (l->worker->now_ns - l->down_ns > r->o->patience)
        run_fail(r, "no connection to %s port %llu for %llds: %s", r->o->host,
                 (unsigned long long)r->o->port, (long long)(r->o->patience / NS_PER_S), why);
    try_later(l);
}

void link_connect(struct link *l)
{
    struct run *r = l->worker->run;
    int yes = 1;
    l->fd = socket(r->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        run_fail(r,
                 "no socket: %s; raise the limit of open files (ulimit -n) or lower --connections",
                 strerror(errno));
        return;
    }
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* slower without it, no more */
    l->state = LINK_CONNECTING;
    l->wants_write = true;
    if (connect(l->fd, (struct sockaddr *)&r->address, r->address_len) != 0 &&
        errno != EINPROGRESS) {
        broken(l, strerror(errno));
        return;
    }
    watch(l, EPOLL_CTL_ADD);
}

/* What was under way when the last connection broke is asked again where its role wants it so. */
static void resume(struct link *l)
{
    for (uint32_t i = 0; i < l->n_ops; i++) {
        struct op *op = &l->ops[i];
        if (op->active && op->again && !op->reminded)
            l->role->remind(l, op);
    }
}

static void connected(struct link *l)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
        broken(l, strerror(why ? why : errno));
        return;
    }
    l->state = LINK_UP;
    l->wants_write = false;
    watch(l, EPOLL_CTL_MOD);
    if (!l->was_up) {
        l->was_up = true;
        atomic_fetch_add(&l->worker->run->links_up, 1);
    } else {
        resume(l);
    }
    op_pump(l);
}

void link_flush(struct link *l)
{
    if (l->out.failed)
        run_fail(l->worker->run,
                 "more than 1 GiB waits to be sent on a connection: lower --inflight or --batch");
    while (l->state == LINK_UP && !l->out.failed && l->out_at < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + l->out_at, l->out.len - l->out_at, MSG_NOSIGNAL);
        if (n > 0) {
            l->out_at += (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            broken(l, strerror(errno));
            return;
        }
        if (errno == EAGAIN)
            break;
    }
    if (l->state != LINK_UP)
        return;
    bool rest = l->out_at < l->out.len;
    if (!rest) {
        buf_reset(&l->out, BUFFER_KEEP);
        l->out_at = 0;
    }
    if (rest != l->wants_write) {
        l->wants_write = rest;
        watch(l, EPOLL_CTL_MOD);
    }
}

void link_ask(struct link *l, struct op *op, uint32_t part, struct ask *ask)
{
    ask->tag = (uint32_t)(op - l->ops) * l->span + part;
    speech_put(&l->speech, &l->out, ask);
}

static void take_answer(struct link *l, const struct answer *a)
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
        run_trouble(l->worker, SLICE_LIT("TESTER an answer to a request that was not made"));
        return;
    }
    op->left--;
    l->role->answered(l, op, a->tag % l->span, a);
}

/* All whole answers that have come. */
static void take_answers(struct link *l)
{
    while (l->state == LINK_UP && l->in_at < l->in.len) {
        struct answer a;
        size_t used;
        struct slice input = slice_of(l->in.data + l->in_at, l->in.len - l->in_at);
        enum status s = speech_next(&l->speech, input, &a, &used);
        if (s == ST_MORE)
            break;
        if (s != ST_OK) {
            run_fail(l->worker->run,
                     "what came from port %llu is no %s: is it the right port, and --dialect?",
                     (unsigned long long)l->worker->run->o->port, l->speech.dialect->name);
            return;
        }
        take_answer(l, &a);
        l->in_at += used;
    }
    if (l->in_at == l->in.len)
        buf_reset(&l->in, BUFFER_KEEP);
    else if (l->in_at > 0)
        buf_consume(&l->in, l->in_at);
    l->in_at = 0;
}

static void readable(struct link *l)
{
    for (int i = 0; i < READS_A_TURN && l->state == LINK_UP; i++) {
        uint8_t *room = buf_room(&l->in, READ_BYTES);
        if (!room) {
            run_fail(l->worker->run, "no memory for an answer");
            return;
        }
        ssize_t n = recv(l->fd, room, READ_BYTES, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            broken(l, n == 0 ? "closed by the other side" : strerror(errno));
            return;
        }
        buf_added(&l->in, (size_t)n);
        l->worker->now_ns = mono_ns();
        take_answers(l);
        if ((size_t)n < READ_BYTES)
            break;
    }
}

void link_event(struct link *l, uint32_t events)
{
    if (l->state == LINK_CONNECTING) {
        connected(l);
    } else if (l->state == LINK_UP) {
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            readable(l);
        op_pump(l);
    }
    link_flush(l);
}

void link_remind(struct link *l, uint32_t what)
{
    if (what == WHAT_CONNECT) {
        l->retrying = false;
        if (l->state == LINK_DOWN && !l->done)
            link_connect(l);
    } else if (what == WHAT_START) {
        l->start_reminded = false;
    } else {
        struct op *op = &l->ops[what];
        op->reminded = false;
        if (op->active && l->state == LINK_UP)
            l->role->remind(l, op);
        else if (op->active)
            op->again = true;
    }
    op_pump(l);
    link_flush(l);
}
