/*
 * driver.c: one turn of the wheel: connect and read, end what is due, tick the services, write, and
 * say what to wait for next.
 *
 * The driver sleeps with `sleeping` set and `sleep_until_ms` known; whoever hands over work that is
 * due earlier writes to wake_fd, once. So a busy driver is never woken, and what is handed over while
 * it writes leaves together in its next write.
 */
#include "clients/c/client/driver.h"

#include <assert.h>
#include <poll.h>
#include <unistd.h>

#include "clients/c/client/peer.h"

#define SLEEP_MAX_MS 3600000

static void wake_up(struct hmq_client *c)
{
    uint64_t count;
    pthread_mutex_lock(&c->lock);
    c->sleeping = false;
    c->driver_thread = pthread_self();
    c->has_driver = true;
    if (c->woken) {
        ssize_t n = read(c->wake_fd, &count, sizeof count);
        (void)n; /* EAGAIN at worst */
        c->woken = false;
    }
    pthread_mutex_unlock(&c->lock);
}

static void expire(struct hmq_client *c)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    pthread_mutex_lock(&c->lock);
    core_expire(&c->core, clock_ms(), c->connected, &dead);
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &dead);
}

struct round {
    struct hmq_client *client;
    bool connected; /* a connection was made in this turn */
};

static bool serve(struct service *s, void *arg)
{
    struct round *round = arg;
    struct hmq_client *c = round->client;
    if (round->connected && s->connected)
        s->connected(s);
    pthread_mutex_lock(&c->lock);
    int64_t now_ms = clock_ms();
    bool due = s->tick && s->due_ms <= now_ms;
    if (due)
        s->due_ms = CORE_NEVER;
    pthread_mutex_unlock(&c->lock);
    if (!due)
        return false;
    int64_t next_ms = s->tick(s, now_ms);
    pthread_mutex_lock(&c->lock);
    if (next_ms < s->due_ms)
        s->due_ms = next_ms;
    pthread_mutex_unlock(&c->lock);
    return false;
}

void driver_watch(struct hmq_client *c, int fd, int want_read, int want_write)
{
    if (c->told_fd == fd && c->told_read == want_read && c->told_write == want_write)
        return;
    if (c->told_fd != fd && !want_read && !want_write)
        return;
    c->told_fd = want_read || want_write ? fd : -1;
    c->told_read = want_read;
    c->told_write = want_write;
    if (c->loop.watch)
        c->loop.watch(c->loop.arg, fd, want_read, want_write);
}

static void tell_deadline(struct hmq_client *c, int64_t until_ms)
{
    c->told_until_ms = until_ms;
    if (!c->loop.deadline)
        return;
    int64_t in_ms = until_ms == CORE_NEVER ? -1 : until_ms - clock_ms();
    if (until_ms != CORE_NEVER && in_ms < 0)
        in_ms = 0;
    c->loop.deadline(c->loop.arg, in_ms < SLEEP_MAX_MS ? in_ms : SLEEP_MAX_MS);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Under the lock: from here on whoever has something earlier wakes us. */
static int64_t plan_locked(struct hmq_client *c)
{
    int64_t until_ms = earlier(core_next_expiry(&c->core), peer_due(c));
    if (c->connected && !c->blocked)
        until_ms = earlier(until_ms, core_next_flush(&c->core));
    for (struct service *s = TAILQ_FIRST(&c->services); s; s = TAILQ_NEXT(s, link))
        until_ms = earlier(until_ms, s->due_ms);
    c->sleeping = true;
    c->sleep_until_ms = until_ms;
    return until_ms;
}

static void plan(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    int64_t until_ms = plan_locked(c);
    bool blocked = c->blocked;
    pthread_mutex_unlock(&c->lock);
    if (c->peer.fd >= 0) {
        bool up = c->peer.state == PEER_UP;
        driver_watch(c, c->peer.fd, up, !up || blocked);
    }
    tell_deadline(c, until_ms);
}

void driver_step(struct hmq_client *c, bool readable, bool writable)
{
    bool was_up = c->peer.state == PEER_UP;
    wake_up(c);
    peer_progress(c, readable, writable);
    expire(c);
    struct round round = {c, !was_up && c->peer.state == PEER_UP};
    services_visit(c, serve, &round);
    peer_write(c);
    plan(c);
}

void driver_poll(struct hmq_client *c, int64_t deadline_ms)
{
    struct pollfd fds[2] = {{.fd = c->wake_fd, .events = POLLIN}, {.fd = c->told_fd}};
    fds[1].events = (short)((c->told_read ? POLLIN : 0) | (c->told_write ? POLLOUT : 0));
    int64_t in_ms = earlier(c->told_until_ms, deadline_ms);
    if (in_ms != CORE_NEVER)
        in_ms -= clock_ms();
    in_ms = in_ms < 0 ? 0 : earlier(in_ms, SLEEP_MAX_MS);
    int n = poll(fds, 2, (int)in_ms);
    short failed = POLLERR | POLLHUP | POLLNVAL;
    short seen = n > 0 && c->told_fd >= 0 ? fds[1].revents : 0;
    driver_step(c, seen & (POLLIN | failed), seen & (POLLOUT | failed));
}

void driver_stop(struct hmq_client *c)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    peer_lost(c, "the client is closed");
    pthread_mutex_lock(&c->lock);
    core_close(&c->core, &dead);
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &dead);
    peer_fini(c);
    if (c->loop.watch)
        c->loop.watch(c->loop.arg, c->wake_fd, 0, 0);
    if (c->loop.deadline)
        c->loop.deadline(c->loop.arg, -1);
}
