/*
 * driver.c: one turn: connect and read, end calls whose deadline passed, tick the services, write, and say
 * what to wait for next; see driver.h.
 *
 *           ┌──────── driver_step ────────┐
 *   NONE ─► AWAKE ──plan──► SLEEPING ──watch_wake_locked──► WOKEN
 *             ▲                 │  socket, deadline            │ wake_fd
 *             └─────────────────┴──────────────────────────────┘
 *
 * While it sleeps, sleep_until_ms is known. Whoever hands over work that is due earlier writes to wake_fd,
 * once. So a busy driver is never woken, and what is handed over while it writes leaves with its next write.
 */
#include "clients/c/client/driver.h"

#include <poll.h>
#include <unistd.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/peer.h"
#include "clients/c/client/service.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"

static void driver_wake_up(struct hmq_client *c)
{
    uint64_t count;
    pthread_mutex_lock(&c->lock);
    if (c->driver == DRIVER_WOKEN) {
        ssize_t n = read(c->wake_fd, &count, sizeof count);
        (void)n; /* EAGAIN at worst */
    }
    c->driver = DRIVER_AWAKE;
    c->looked_up = false;
    c->driver_thread = pthread_self();
    pthread_mutex_unlock(&c->lock);
}

static void driver_expire(struct hmq_client *c)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    pthread_mutex_lock(&c->lock);
    TAILQ_CONCAT(&dead, &c->taken_back, link);
    core_expire(&c->core, clock_ms(), c->line != LINE_DOWN, &dead);
    if (!TAILQ_EMPTY(&dead))
        client_ending(c);
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &dead);
}

struct driver_turn {
    struct hmq_client *client;
    bool connected; /* a connection was made in this turn */
};

static bool driver_serve(struct service *s, void *arg)
{
    struct driver_turn *turn = arg;
    struct hmq_client *c = turn->client;
    if (turn->connected && s->connected)
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

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Under the lock: from here on, whoever has something that is due earlier wakes the driver. */
static int64_t driver_plan_locked(struct hmq_client *c)
{
    int64_t until_ms = earlier(core_next_expiry(&c->core), peer_due(c));
    if (!TAILQ_EMPTY(&c->taken_back) || c->looked_up || c->stopping)
        until_ms = CORE_NOW;
    if (c->line == LINE_UP)
        until_ms = earlier(until_ms, core_next_flush(&c->core));
    for (struct service *s = TAILQ_FIRST(&c->services); s; s = TAILQ_NEXT(s, link))
        until_ms = earlier(until_ms, s->due_ms);
    c->driver = DRIVER_SLEEPING;
    c->sleep_until_ms = until_ms;
    return until_ms;
}

static void driver_plan(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    int64_t until_ms = driver_plan_locked(c);
    bool full = c->line == LINE_FULL;
    pthread_mutex_unlock(&c->lock);
    peer_watch(c, full);
    watch_until(c, until_ms);
}

void driver_step(struct hmq_client *c, bool readable, bool writable)
{
    bool was_up = c->peer.state == PEER_UP;
    driver_wake_up(c);
    peer_progress(c, readable, writable);
    driver_expire(c);
    struct driver_turn turn = {c, !was_up && c->peer.state == PEER_UP};
    service_visit(c, driver_serve, &turn);
    peer_write(c);
    driver_plan(c);
}

void driver_poll(struct hmq_client *c, int64_t deadline_ms)
{
    struct pollfd fds[2] = {{.fd = c->wake_fd, .events = POLLIN}, {.fd = c->told_fd}};
    fds[1].events = (short)((c->told_read ? POLLIN : 0) | (c->told_write ? POLLOUT : 0));
    int64_t in_ms = earlier(c->told_until_ms, deadline_ms);
    if (in_ms != CORE_NEVER)
        in_ms -= clock_ms();
    in_ms = in_ms < 0 ? 0 : earlier(in_ms, WATCH_MS_MAX);
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
    TAILQ_CONCAT(&dead, &c->taken_back, link);
    core_close(&c->core, &dead);
    client_ending(c);
    pthread_mutex_unlock(&c->lock);
    client_finish(c, &dead);
    peer_fini(c);
    watch_stop(c);
}
