/*
 * client_roles.c: what producers and consumers use of their client: services, waiting, endings.
 */
#include <stdio.h>
#include <string.h>

#include "clients/c/client/client.h"
#include "clients/c/client/driver.h"

bool client_on_driver(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool here = c->has_driver && pthread_equal(c->driver_thread, pthread_self());
    pthread_mutex_unlock(&c->lock);
    return here;
}

void client_changed(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->changes++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static uint64_t changes(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t n = c->changes;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* Until something changed after `seen`, or the deadline. */
static void wait_change(struct hmq_client *c, uint64_t seen, int64_t deadline_ms)
{
    bool waiting = true;
    pthread_mutex_lock(&c->lock);
    while (waiting && c->changes == seen)
        waiting = clock_cond_wait(&c->changed, &c->lock, deadline_ms);
    pthread_mutex_unlock(&c->lock);
}

enum hmq_status client_await(struct hmq_client *c, bool (*holds)(void *arg), void *arg,
                             int64_t deadline_ms)
{
    bool driver = client_on_driver(c);
    for (;;) {
        uint64_t seen = changes(c);
        if (holds(arg))
            return HMQ_OK;
        if (driver && (c->threaded || c->inside > 0))
            return HMQ_EWOULDBLOCK;
        if (clock_ms() >= deadline_ms)
            return HMQ_ETIMEDOUT;
        if (driver)
            driver_poll(c, deadline_ms);
        else
            wait_change(c, seen, deadline_ms);
    }
}

void client_service_add(struct hmq_client *c, struct service *s)
{
    pthread_mutex_lock(&c->lock);
    s->busy = false;
    TAILQ_INSERT_TAIL(&c->services, s, link);
    client_wake_locked(c, s->due_ms);
    pthread_mutex_unlock(&c->lock);
}

void client_service_remove(struct hmq_client *c, struct service *s)
{
    pthread_mutex_lock(&c->lock);
    while (s->busy)
        pthread_cond_wait(&c->changed, &c->lock);
    TAILQ_REMOVE(&c->services, s, link);
    pthread_mutex_unlock(&c->lock);
}

void client_service_kick(struct hmq_client *c, struct service *s)
{
    client_service_at(c, s, CORE_NOW);
}

void client_service_at(struct hmq_client *c, struct service *s, int64_t due_ms)
{
    pthread_mutex_lock(&c->lock);
    if (due_ms < s->due_ms)
        s->due_ms = due_ms;
    client_wake_locked(c, s->due_ms);
    pthread_mutex_unlock(&c->lock);
}

bool client_has_room(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    const struct core *core = &c->core;
    bool room = core->pending < core->max_pending && core->pending_bytes < core->max_pending_bytes;
    pthread_mutex_unlock(&c->lock);
    return room;
}

bool services_visit(struct hmq_client *c, bool (*visit)(struct service *s, void *arg), void *arg)
{
    bool taken = false;
    c->inside++;
    pthread_mutex_lock(&c->lock);
    for (struct service *s = TAILQ_FIRST(&c->services); s && !taken; s = TAILQ_NEXT(s, link)) {
        s->busy = true;
        pthread_mutex_unlock(&c->lock);
        taken = visit(s, arg);
        pthread_mutex_lock(&c->lock);
        s->busy = false;
        c->changes++;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    c->inside--;
    return taken;
}

void client_event(struct hmq_client *c, enum hmq_event event, const char *text)
{
    if (!c->options->event_fn)
        return;
    c->inside++;
    c->options->event_fn(c->options->event_arg, event, text);
    c->inside--;
}

/* Ends the calls of the list. True where there were any. */
static bool end_calls(struct hmq_client *c, struct call_list *ended)
{
    struct call *call;
    bool any = false;
    while ((call = TAILQ_FIRST(ended))) {
        hmq_error err;
        TAILQ_REMOVE(ended, call, link);
        client_explain(c, call->status, &err);
        struct outcome outcome = {.status = call->status, .text = slice_str(err.text)};
        call->done(call, &outcome);
        any = true;
    }
    return any;
}

void client_finish(struct hmq_client *c, struct call_list *ended)
{
    c->inside++;
    bool any = end_calls(c, ended);
    c->inside--;
    if (any)
        client_changed(c);
}

void client_cancel_owned(struct hmq_client *c, const void *owner)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    pthread_mutex_lock(&c->lock);
    core_cancel_owned(&c->core, owner, &dead);
    pthread_mutex_unlock(&c->lock);
    if (end_calls(c, &dead))
        client_changed(c);
}

enum hmq_status client_explain(struct hmq_client *c, enum hmq_status status, hmq_error *err)
{
    char why[HMQ_ERROR_TEXT_SIZE] = "";
    pthread_mutex_lock(&c->lock);
    if (!c->connected)
        snprintf(why, sizeof why, "%.150s", c->last_error);
    pthread_mutex_unlock(&c->lock);
    if (why[0] && (status == HMQ_EDISCONNECTED || status == HMQ_EUNKNOWN))
        return error_set(err, status, "%.96s (%s)", hmq_strerror(status), why);
    return error_plain(err, status);
}

static bool is_connected(void *arg)
{
    struct hmq_client *c = arg;
    pthread_mutex_lock(&c->lock);
    bool yes = c->connected || c->stopping;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

static bool is_idle(void *arg)
{
    struct hmq_client *c = arg;
    pthread_mutex_lock(&c->lock);
    bool yes = c->core.pending == 0;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

enum hmq_status hmq_client_wait(hmq_client *c, int64_t timeout_ms, hmq_error *err)
{
    enum hmq_status status = client_await(c, is_connected, c, client_deadline(c, timeout_ms));
    return client_explain(c, status == HMQ_ETIMEDOUT ? HMQ_EDISCONNECTED : status, err);
}

enum hmq_status hmq_client_flush(hmq_client *c, int64_t timeout_ms, hmq_error *err)
{
    enum hmq_status status = client_await(c, is_idle, c, client_deadline(c, timeout_ms));
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status, "some requests are not answered yet");
    return error_plain(err, status);
}
