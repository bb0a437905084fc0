/*
 * acceptor.c: accepts connections, counts them, and gives them to the loops in turn.
 *
 *   readable ──► accept4, at most a few ──► room? ──► loop 1, 2, ... n, 1, ...
 *                    │                        └─ no: "-LIMIT ..." and closed
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
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/log.h"
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
static void acceptor_refuse(struct acceptor *a, int fd, int64_t most)
{
    char text[128];
    int n = snprintf(text, sizeof text,
                     "-LIMIT the limit of %lld connections is reached: try later, or raise max_connections\r\n",
                     (long long)most);
    if (n > 0 && send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_text(LOG_DEBUG, "a client disconnected before its refusal was sent");
    close(fd);
    counters_add(&a->server->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    log_event(LOG_WARN, "connection refused", " connections=%lld", (long long)most);
}

static void acceptor_hand_over(struct acceptor *a, int fd)
{
    struct server *s = a->server;
    int64_t most = atomic_load(&s->connections_max);
    int on = 1;
    if ((int64_t)net_connections(s->net) >= most) {
        acceptor_refuse(a, fd, most);
        return;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 && errno != EOPNOTSUPP) /* a Unix socket */
        log_text(LOG_DEBUG, "a client disconnected before it was served");
    if (net_adopt(s->net, a->next_loop++, fd))
        return;
    close(fd);
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
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            a->starved = false;
            acceptor_hand_over(a, fd);
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
