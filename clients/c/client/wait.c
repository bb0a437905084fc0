/*
 * wait.c: waiting for a change of the client's, or driving its socket until there is one; see wait.h.
 * hmq_client_wait and hmq_client_flush are here too: they wait for the connection and for all replies.
 */
#include "clients/c/client/wait.h"

#include "clients/c/client/client_inner.h"
#include "clients/c/client/driver.h"
#include "clients/c/client/gate.h"
#include "clients/c/wire/clock.h"

static uint64_t wait_changes(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t n = c->changes;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* Until there is a change after the first `seen` ones, or the deadline. */
static void wait_for_change(struct hmq_client *c, uint64_t seen, int64_t deadline_ms)
{
    bool in_time = true;
    pthread_mutex_lock(&c->lock);
    while (in_time && c->changes == seen)
        in_time = clock_cond_wait(&c->changed, &c->lock, deadline_ms);
    pthread_mutex_unlock(&c->lock);
}

bool wait_is_possible(struct hmq_client *c)
{
    return !client_on_driver(c) || (!c->threaded && c->inside == 0);
}

static void wait_on_loop(struct hmq_client *c, bool waits)
{
    pthread_mutex_lock(&c->lock);
    c->loop_waits = waits;
    pthread_mutex_unlock(&c->lock);
}

/* On the application's loop thread, which drives the socket; other threads wake it by watch_tell_locked. */
static enum hmq_status wait_and_drive(struct hmq_client *c, bool (*holds)(void *arg), void *arg, int64_t deadline_ms)
{
    bool in_time = true;
    wait_on_loop(c, true);
    while (!holds(arg)) {
        in_time = clock_ms() < deadline_ms;
        if (!in_time)
            break;
        driver_poll(c, deadline_ms);
    }
    wait_on_loop(c, false);
    return in_time ? HMQ_OK : HMQ_ETIMEDOUT;
}

enum hmq_status wait_until(struct hmq_client *c, bool (*holds)(void *arg), void *arg,
                           int64_t deadline_ms)
{
    if (client_on_driver(c)) {
        if (wait_is_possible(c))
            return wait_and_drive(c, holds, arg, deadline_ms);
        return holds(arg) ? HMQ_OK : HMQ_EWOULDBLOCK;
    }
    for (;;) {
        uint64_t seen = wait_changes(c);
        if (holds(arg))
            return HMQ_OK;
        if (clock_ms() >= deadline_ms)
            return HMQ_ETIMEDOUT;
        wait_for_change(c, seen, deadline_ms);
    }
}

/* A client that is being closed ends the wait as well. */
static bool wait_is_over(void *arg)
{
    struct hmq_client *c = arg;
    pthread_mutex_lock(&c->lock);
    bool over = c->line != LINE_DOWN || c->stopping;
    pthread_mutex_unlock(&c->lock);
    return over;
}

static bool nothing_is_pending(void *arg)
{
    struct hmq_client *c = arg;
    pthread_mutex_lock(&c->lock);
    bool nothing = (c->core.pending == 0 && TAILQ_EMPTY(&c->taken_back) && !atomic_load(&c->ending)) || c->stopping;
    pthread_mutex_unlock(&c->lock);
    return nothing;
}

enum hmq_status hmq_client_wait(hmq_client *c, int64_t timeout_ms, hmq_error *err)
{
    if (!gate_enter(&c->gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = wait_until(c, wait_is_over, c, client_deadline(c, timeout_ms));
    if (status == HMQ_OK && gate_closing(&c->gate))
        status = HMQ_ECLOSED;
    status = client_explain(c, status == HMQ_ETIMEDOUT ? HMQ_EDISCONNECTED : status, err);
    gate_leave(&c->gate, c);
    return status;
}

enum hmq_status hmq_client_flush(hmq_client *c, int64_t timeout_ms, hmq_error *err)
{
    if (!gate_enter(&c->gate))
        return error_plain(err, HMQ_ECLOSED);
    atomic_fetch_add(&c->flushing, 1);
    enum hmq_status status = wait_until(c, nothing_is_pending, c, client_deadline(c, timeout_ms));
    atomic_fetch_sub(&c->flushing, 1);
    if (status == HMQ_OK && gate_closing(&c->gate))
        status = HMQ_ECLOSED;
    gate_leave(&c->gate, c);
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status, "some requests have no reply yet");
    return error_plain(err, status);
}
