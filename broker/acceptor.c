/*
 * acceptor.c: accepts connections, counts them, and gives them to the loops in turn.
 *
 *   readable ──► accept4, at most a few ──► room? ──► loop 1, 2, ... n, 1, ...
 *                    │                        └─ no: "-LIMIT ..." and closed; from elsewhere in protected mode: "-DENIED ..."
 *                    └─ no descriptors left: pause for 100 ms
 *
 * Without free descriptors (EMFILE and the like) a listening socket stays readable, and the main thread would
 * spin. So all listening stops for 100 ms then, and new connections wait in the kernel's backlog. The log says so
 * once, until an accept works again.
 */
#include "broker/acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/auth/acl_log.h"
#include "broker/base/log.h"
#include "broker/base/timers.h"
#include "broker/entrance.h"
#include "broker/net/net.h"
#include "broker/server_inner.h"

#define ACCEPTS_A_TURN 64
#define PAUSE_MS 100

struct acceptor {
    struct server *server;
    struct sockets sockets;
    struct event *readable[SOCKETS_MAX];
    struct event *resume; /* timer */
    uint32_t next_loop;
    bool starved; /* out of descriptors: the log has said so; cleared by the next accept that works */
};

static void acceptor_set_listening(struct acceptor *a, bool on)
{
    for (unsigned i = 0; i < a->sockets.n; i++) {
        if ((on ? event_add(a->readable[i], NULL) : event_del(a->readable[i])) != 0)
            log_event(LOG_ERROR, "cannot watch a listening socket", " addr=%s", a->sockets.text);
    }
}

static void acceptor_pause_accepting(struct acceptor *a, int failure)
{
    const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    char text[128];
    if (!a->starved)
        log_event(LOG_WARN, "cannot accept connections for now", " reason=%s hint=%s",
                  log_quote(strerror(failure), text, sizeof text),
                  "\"raise the limit of open files (ulimit -n)\"");
    a->starved = true;
    if (event_add(a->resume, &pause) == 0)
        acceptor_set_listening(a, false);
}

static void acceptor_on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    acceptor_set_listening(arg, true);
}

/* The reply is short and the socket's send buffer is empty, so one send without waiting is enough. */
static void acceptor_refuse(struct acceptor *a, const struct letter_socket *socket, const char *text, const char *why)
{
    char from[ADDRESS_TEXT_MAX];
    if (send(socket->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_text(LOG_DEBUG, "a client disconnected before its refusal was sent");
    close(socket->fd);
    counters_add(&a->server->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    log_event(LOG_WARN, "connection refused", " addr=%s reason=%s", address_text(&socket->from, from), why);
}

static void acceptor_refuse_full(struct acceptor *a, const struct letter_socket *socket, int64_t most, const char *setting)
{
    char text[160];
    (void)snprintf(text, sizeof text, "-LIMIT the limit of %lld connections%s is reached: try later, or raise %s\r\n",
                   (long long)most, strcmp(setting, "max_connections") == 0 ? "" : " from one address", setting);
    acceptor_refuse(a, socket, text, setting);
}

/* Are connections from elsewhere refused now, and is it one? */
static bool acceptor_refuse_stranger(struct acceptor *a, const struct letter_socket *socket)
{
    if (address_is_local(&socket->from) || !entrance_is_protected(a->server))
        return false;
    char from[ADDRESS_TEXT_MAX];
    acl_log_add(a->server->acl_log, "protected", slice_str(address_text(&socket->from, from)), SLICE_LIT("default"), "",
                timers_now());
    acceptor_refuse(a, socket, "-DENIED " ENTRANCE_PROTECTED_TEXT "\r\n", "protected_mode");
    return true;
}

/* NODELAY, and probes of a connection that is silent; a Unix socket has neither. */
static void acceptor_set_up(struct acceptor *a, const struct letter_socket *socket)
{
    int on = 1, silent_s = (int)((settings_num(a->server->settings, SET_tcp_keepalive) + 999) / 1000);
    int every_s = silent_s / 3 > 0 ? silent_s / 3 : 1, probes = 3;
    if (socket->from.kind == ADDRESS_UNIX)
        return;
    bool set = setsockopt(socket->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    if (silent_s > 0)
        set = setsockopt(socket->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 &&
              setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPIDLE, &silent_s, sizeof silent_s) == 0 &&
              setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s) == 0 &&
              setsockopt(socket->fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes) == 0 && set;
    if (!set)
        log_text(LOG_DEBUG, "a client disconnected before it was served");
}

static void acceptor_hand_over(struct acceptor *a, struct letter_socket *socket)
{
    struct server *s = a->server;
    int64_t most = atomic_load(&s->connections_max);
    int64_t most_here = settings_num(s->settings, SET_max_connections_per_address);
    if ((int64_t)net_connections(s->net) >= most) {
        acceptor_refuse_full(a, socket, most, "max_connections");
        return;
    }
    if (acceptor_refuse_stranger(a, socket))
        return;
    enum peers_state counted = peers_enter(net_peers(s->net), &socket->from, (uint64_t)most_here);
    if (counted == PEER_FULL) {
        acceptor_refuse_full(a, socket, most_here, "max_connections_per_address");
        return;
    }
    socket->counted = counted == PEER_COUNTED;
    acceptor_set_up(a, socket);
    if (net_adopt(s->net, a->next_loop++, socket))
        return;
    if (socket->counted)
        peers_leave(net_peers(s->net), &socket->from);
    close(socket->fd);
    log_text(LOG_ERROR, "no memory for a new connection");
}

/* True for failures that concern this one connection only: the next accept may work. */
static bool acceptor_passing(int failure)
{
    return failure == ECONNABORTED || failure == EINTR || failure == EPROTO || failure == EPERM;
}

static void acceptor_on_readable(evutil_socket_t listening, short what, void *arg)
{
    struct acceptor *a = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof from;
        int fd = accept4(listening, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct letter_socket socket = {.fd = fd, .from = address_of((const struct sockaddr *)&from)};
            a->starved = false;
            acceptor_hand_over(a, &socket);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!acceptor_passing(errno)) {
            acceptor_pause_accepting(a, errno);
            return;
        }
    }
}

struct acceptor *acceptor_new(struct server *s, struct event_base *base, struct sockets *sockets)
{
    struct acceptor *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->server = s;
    bool complete = true;
    for (unsigned i = 0; i < sockets->n; i++) {
        a->readable[i] = event_new(base, sockets->fds[i], EV_READ | EV_PERSIST, acceptor_on_readable, a);
        complete = complete && a->readable[i] && event_add(a->readable[i], NULL) == 0;
    }
    a->resume = evtimer_new(base, acceptor_on_resume, a);
    if (!complete || !a->resume) {
        acceptor_free(a);
        return NULL;
    }
    a->sockets = *sockets;
    sockets->n = 0;
    return a;
}

void acceptor_free(struct acceptor *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < SOCKETS_MAX; i++) {
        if (a->readable[i])
            event_free(a->readable[i]);
    }
    if (a->resume)
        event_free(a->resume);
    sockets_close(&a->sockets);
    free(a);
}
